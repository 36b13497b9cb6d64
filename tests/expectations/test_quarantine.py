"""What breaks a rule of its row leaves with its whole request and a reason, and nothing else."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.schema import TABLES
from perennial.errors import IntegrityError


@pytest.fixture
def left(findings_of):
    """`left(world)`: the quarantined rows by table and reason; the world's log is accepted."""

    def found(world, **settings):
        findings = findings_of(world, quarantine=True, **settings)
        for table, reasons in findings.quarantined.items():
            assert findings.accepted[table] + sum(reasons.values()) == len(world.tables[table])
        return findings

    return found


def clicks_of(world, *requests):
    ids = [f"req-{number:06d}" for number in requests]
    return int(world.frame("events")["request_id"].isin(ids).sum())


def test_a_request_with_a_broken_row_goes_whole_and_warns(world, left):
    world.frame("impressions").loc[35, "rank"] = 40  # the third request's page has a gap
    findings = left(world)
    gone = {"ranks_with_gaps": 10}
    assert findings.quarantined["impressions"] == gone
    assert findings.quarantined["requests"] == {"ranks_with_gaps": 1}
    assert sum(findings.quarantined["events"].values()) == clicks_of(world, 3)
    assert findings.leaving["impressions"]["row"].to_pylist() == list(range(30, 40))
    (warned,) = [each for each in findings.outcomes if each.warns]
    assert findings.success and warned.must.startswith("the ranks of a request must run 1, 2, 3")


def test_the_first_fault_of_a_request_is_the_reason_of_all_its_rows(world, left):
    world.frame("requests").loc[5, "arm"] = "blue"
    world.frame("impressions").loc[55, "score"] = float("inf")
    findings = left(world)
    assert {reason for by in findings.quarantined.values() for reason in by} == {"arm_unknown"}


def test_rows_of_an_unknown_request_go_alone(world, left):
    world.frame("events").loc[7, "request_id"] = "req-foreign"
    findings = left(world)
    assert findings.quarantined == {
        "requests": {},
        "impressions": {},
        "events": {"request_unknown": 1},
    }


def test_more_than_the_share_stops(world, left):
    world.frame("requests").loc[:29, "arm"] = "blue"
    findings = left(world, max_quarantined_share=0.05)
    assert not findings.success
    stopped = {each.table for each in findings.outcomes if each.stops}
    assert {"requests", "impressions"} <= stopped
    assert left(world, max_quarantined_share=0.5).success


def test_too_short_a_log_is_too_short_by_what_is_accepted(world, left):
    world.frame("requests").loc[:349, "arm"] = "blue"
    stopped = {each.must for each in left(world, max_quarantined_share=1.0).outcomes if each.stops}
    assert "there must be at least 100 requests" in stopped


def test_a_broken_catalogue_stops_whatever_the_log_may(world, left):
    world.frame("catalogue").loc[3, "text"] = "🌱"
    assert not left(world, max_quarantined_share=1.0).success


def test_strict_stops_at_one_row(world, findings_of):
    world.frame("requests").loc[5, "arm"] = "blue"
    findings = findings_of(world)
    assert not findings.success and not any(findings.quarantined.values())


@pytest.mark.parametrize("value", [-1.0, 14_401.0])
def test_a_dwell_that_is_no_stay_is_caught(world, broken, value):
    events = world.frame("events")
    events["value"] = events["value"].astype(object)
    events.loc[:1, "type"] = "dwell"
    events.loc[0, "value"], events.loc[1, "value"] = value, 14_400.0
    (outcome,) = broken(world).values()
    assert outcome.must == "the value of a dwell must lie between 0 and 14,400 seconds"
    assert outcome.count == 1


def busy_session(world, rows, seconds):
    """These requests become one session's, so far apart; their clicks come at once."""
    requests, events = world.frame("requests"), world.frame("events")
    first = requests.loc[rows[0], "ts"]
    for place, row in enumerate(rows):
        requests.loc[row, "session_id"] = "ses-busy"
        requests.loc[row, "ts"] = first + timedelta(seconds=seconds * place)
    asked = requests.set_index("request_id")["ts"]
    events["ts"] = events["request_id"].map(asked)


def test_a_session_that_is_too_fast_is_a_bots_and_leaves_even_where_strict(world, findings_of):
    busy_session(world, range(20, 51), 1.9)  # 31 requests within 57 seconds
    findings = findings_of(world)
    assert findings.success
    assert findings.quarantined["requests"] == {"bot": 31}
    assert findings.quarantined["impressions"] == {"bot": 310}
    assert findings.profile["bots"] == {"sessions": 1, "requests": 31}
    assert findings.profile["requests"] == 400 - 31


def test_a_session_at_the_bound_is_a_persons(world, findings_of):
    busy_session(world, range(20, 51), 2.0)  # the 31st comes when the first minute is over
    assert not any(findings_of(world).quarantined.values())


def test_a_session_that_never_ends_is_a_bots(world, findings_of):
    busy_session(world, range(20, 51), 1000)
    findings = findings_of(world, max_requests_per_session=30)
    assert findings.quarantined["requests"] == {"bot": 31}


def test_many_bots_warn_and_a_log_of_bots_stops(world, findings_of):
    busy_session(world, range(0, 100), 0.1)
    outcomes = findings_of(world).outcomes
    (warned,) = [each for each in outcomes if each.warns]
    assert warned.must == "bots may ask at most 20% of the requests" and warned.count == 100
    assert not [each for each in outcomes if each.stops]
    busy_session(world, range(0, 201), 0.1)
    (stopped,) = [each for each in findings_of(world).outcomes if each.stops]
    assert stopped.must.startswith("bots may ask at most 50% of the requests")


@given(gone=st.sets(st.integers(0, 29)))
def test_every_row_is_written_once_in_order_whatever_leaves(gone, tmp_path_factory):
    from expectations.accepted import split_table

    folder = tmp_path_factory.mktemp("split")
    rows = [
        {"query": f"q{n}", "doc_id": f"d{n}", "grade": n % 4, "slice": None if n % 2 else "a"}
        for n in range(30)
    ]
    pq.write_table(pa.Table.from_pylist(rows, TABLES["judgements"]), folder / "in.parquet")
    places = sorted(gone)
    leaving = pa.table(
        {
            "row": pa.array(places, pa.int64()),
            "reason": pa.array([f"because {place}" for place in places], pa.string()),
        }
    )
    kept, left = folder / "kept.parquet", folder / "left.parquet"
    split_table(folder / "in.parquet", leaving, table="judgements", kept=kept, left=left)
    assert pq.read_table(kept).to_pylist() == [r for n, r in enumerate(rows) if n not in gone]
    assert pq.read_table(left).to_pylist() == [
        rows[place] | {"reason": f"because {place}"} for place in places
    ]


def test_a_row_that_vanished_is_never_passed_over():
    from expectations.accepted import check_law

    check_law("events", rows=10, accepted=7, quarantined=3)
    with pytest.raises(IntegrityError, match="10 rows in the snapshot, but 7 were accepted and 2"):
        check_law("events", rows=10, accepted=7, quarantined=2)


def test_leaving_rows_are_found_across_batches(monkeypatch, tmp_path):
    from expectations import accepted

    monkeypatch.setattr(accepted, "BATCH_ROWS", 7)
    rows = [{"query": f"q{n}", "doc_id": "d", "grade": 1, "slice": None} for n in range(30)]
    pq.write_table(pa.Table.from_pylist(rows, TABLES["judgements"]), tmp_path / "in.parquet")
    places = np.array([0, 6, 7, 13, 14, 29])
    leaving = pa.table({"row": places, "reason": ["x"] * len(places)})
    kept, left = tmp_path / "kept.parquet", tmp_path / "left.parquet"
    accepted.split_table(tmp_path / "in.parquet", leaving, table="judgements", kept=kept, left=left)
    assert pq.read_table(left)["query"].to_pylist() == [f"q{place}" for place in places]
    assert len(pq.read_table(kept)) == 24
