"""Any log is accepted, quarantined or refused with a sentence, and no row of it vanishes."""

import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import write_params

from perennial.data.schema import LOG_TABLES, TABLES
from perennial.errors import PerennialError
from perennial.workspace import Workspace

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)  # the years 1 to 9999
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)  # every plane of Unicode
NUMBERS = st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 1e308, 86_400_000.0]))
COLUMNS = [(table, field.name) for table in TABLES for field in TABLES[table]]
LOG_COLUMNS = [(table, column) for table, column in COLUMNS if table in LOG_TABLES]
ROW = st.integers(0, 10**6)  # modulo the rows that there are


def values(kind):
    """Anything that the type can hold."""
    if pa.types.is_timestamp(kind):
        return MOMENTS.map(lambda micros: EPOCH + timedelta(microseconds=micros))
    if pa.types.is_floating(kind):
        return NUMBERS
    if pa.types.is_integer(kind):
        most = 2 ** (kind.bit_width - 1)
        return st.one_of(st.integers(-2, 12), st.integers(-most, most - 1))
    return st.booleans() if pa.types.is_boolean(kind) else TEXTS


def cells(columns):
    """One cell becomes null or anything else."""
    return st.sampled_from(columns).flatmap(
        lambda place: st.tuples(
            st.just("cell"),
            st.just(place),
            ROW,
            st.none() | values(TABLES[place[0]].field(place[1]).type),
        )
    )


def whole_rows(kind):
    return st.tuples(st.just(kind), st.sampled_from(list(LOG_TABLES)), ROW, ROW)


CHANGES = st.lists(
    st.one_of(
        cells(LOG_COLUMNS),
        whole_rows("again"),  # a row is there twice
        whole_rows("drop"),
        whole_rows("swap"),  # two rows change places
        whole_rows("foreign"),  # a request's id comes from elsewhere
        whole_rows("ranks"),  # two impressions change ranks
        whole_rows("session"),  # many requests of one session
        whole_rows("clock"),  # every later row's clock jumps
    ),
    max_size=12,
)


def change(rows, what, place, first, second):
    """One thing goes wrong with the tables, lists of rows by name."""
    table = place[0] if what == "cell" else place
    there = rows[table]
    if not there:
        return
    one, other = first % len(there), (second if isinstance(second, int) else 0) % len(there)
    if what == "cell":
        there[one][place[1]] = second
    elif what == "again":
        there.insert(other, dict(there[one]))
    elif what == "drop":
        del there[one]
    elif what == "swap":
        there[one], there[other] = there[other], there[one]
    elif what == "foreign":
        ids = [row["request_id"] for row in rows["requests"]] or ["req-foreign"]
        there[one]["request_id"] = ids[second % len(ids)] if second % 3 else "req-foreign"
    elif what == "ranks" and table == "impressions":
        there[one]["rank"], there[other]["rank"] = there[other]["rank"], there[one]["rank"]
    elif what == "session" and table == "requests":
        for row in there[one : one + 40]:
            row["session_id"] = "ses-one"
            row["ts"] = there[one]["ts"]
    elif what == "clock" and "ts" in there[0]:
        for row in there[one:]:
            if row["ts"] is not None and row["ts"].year < 9000:
                row["ts"] += timedelta(seconds=second)


@pytest.fixture(scope="module")
def base(make_world):
    return make_world(documents=30, queries=20, requests=60)


@pytest.fixture(scope="module")
def validate():
    from expectations.__main__ import validate

    return validate


@pytest.fixture
def fuzzed(base, validate, tmp_path_factory):
    """`fuzzed(changes, mode, share)`: validates the changed world and checks what must hold."""

    def check(changes, mode, share):
        workspace = Workspace(base.write_workspace(tmp_path_factory.mktemp("fuzz")))
        section = {"min_requests": 5, "min_clicks": 1, "min_click_fall": 0.0, "memory_mb": 256}
        section |= {"on_broken_rows": mode, "max_quarantined_share": share}
        write_params(workspace.params, {"validate": section})
        rows = {table: base.arrow(table).to_pylist() for table in TABLES}
        for each in changes:
            change(rows, *each)
        for table, schema in TABLES.items():
            loose = pa.schema([field.with_nullable(True) for field in schema])
            pq.write_table(pa.Table.from_pylist(rows[table], loose), workspace.table(table))
        try:
            summary = validate(workspace)
        except PerennialError as error:
            assert error.exit_code == 2 and "; " in str(error) and str(error).endswith(".")
            assert "Traceback" not in str(error)
            assert not list(workspace.artifacts("validate").rglob("*.parquet"))
            return "refused"
        assert_law(workspace, rows, summary)
        if mode == "quarantine":
            assert_strictly_accepted(workspace, validate, section)
        return "quarantined" if any(summary["quarantined"].values()) else "accepted"

    return check


def assert_law(workspace, rows, summary):
    for table in LOG_TABLES:
        kept = pq.read_table(workspace.log(table))
        left = pq.read_table(workspace.artifacts("validate") / "quarantine" / f"{table}.parquet")
        assert kept.schema.equals(TABLES[table])
        assert len(kept) + len(left) == len(rows[table])
        assert len(kept) == summary["accepted"][table]
        assert Counter(left["reason"].to_pylist()) == summary["quarantined"][table]
        places = {}
        written = pq.read_table(workspace.table(table)).to_pylist()  # as the columns' types hold it
        for place, row in enumerate(written):
            places.setdefault(repr(row), []).append(place)
        taken = [places[repr(row)].pop(0) for row in kept.to_pylist()]
        gone = [places[repr(row)].pop(0) for row in left.drop_columns("reason").to_pylist()]
        assert taken == sorted(taken) and gone == sorted(gone), "in the order of the snapshot"
    profile = json.loads((workspace.artifacts("validate") / "profile.json").read_text())
    assert profile["requests"] == summary["accepted"]["requests"]


def assert_strictly_accepted(workspace, validate, section):
    """What was accepted keeps every promise on its own: nothing of it would be refused again."""
    for table in LOG_TABLES:
        workspace.log(table).replace(workspace.table(table))
    write_params(workspace.params, {"validate": section | {"on_broken_rows": "strict"}})
    again = validate(workspace)
    assert not any(again["quarantined"].values())


MODES = {
    "mode": st.sampled_from(["quarantine", "quarantine", "strict"]),
    "share": st.sampled_from([1.0, 1.0, 0.05]),
}
LENIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
CASES = {
    "untouched": ([], "accepted"),
    "every plane": (
        [
            ("cell", ("requests", "query"), 3, "\x00 \U0001f331 \U00020000 \ufffe \U0010ffff"),
            ("cell", ("events", "event_id"), 3, "\x00"),
        ],
        "accepted",
    ),
    "shuffled ranks": ([("ranks", "impressions", 3, 5)], "accepted"),
    "a clock that jumps": ([("clock", "events", 9, -86_400)], "quarantined"),
    "a null, a twin and a foreign id": (
        [
            ("cell", ("impressions", "doc_id"), 3, None),
            ("again", "events", 5, 0),
            ("foreign", "events", 9, 0),
        ],
        "quarantined",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_log_with_a_known_fault_is_handled_and_no_row_of_it_vanishes(fuzzed, case):
    changes, wanted = CASES[case]
    assert fuzzed(changes, "quarantine", 1.0) == wanted


@settings(max_examples=2, deadline=None, suppress_health_check=LENIENT, derandomize=True)
@given(changes=CHANGES, **MODES)
def test_a_fuzzed_log_is_accepted_quarantined_or_refused_with_a_sentence(
    fuzzed, changes, mode, share
):
    fuzzed(changes, mode, share)


@pytest.mark.slow
@settings(
    max_examples=int(os.environ.get("FUZZED_LOGS", "12")),
    deadline=None,
    suppress_health_check=LENIENT,
)
@given(changes=CHANGES, **MODES)
def test_deeply_fuzzed_logs_are_accepted_quarantined_or_refused_with_a_sentence(
    fuzzed, changes, mode, share
):
    fuzzed(changes, mode, share)
