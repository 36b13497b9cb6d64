"""freeze: who asked is nobody's to know, nor what only a few asked; any size, cut and order."""

import json
import shutil
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import write_params

from perennial.data.schema import LOG_TABLES, TABLES
from perennial.data.split import content_key
from perennial.errors import PlaceUnusable, TableInvalid
from perennial.verbs.freeze import Frozen, freeze_tables
from perennial.verbs.freezing.events import EventsLeftOut
from perennial.verbs.freezing.sessions import pseudonym

KEY = b"only the operator knows"


@pytest.fixture
def freeze(world, tmp_path):
    """`freeze(…)`: what a snapshot of the world's source froze; `freeze.read(table)` its rows."""
    place, source = tmp_path / "frozen", tmp_path / "source"
    world.write_source(source)

    def take(**options) -> Frozen:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        usual = {
            "window": timedelta(days=30),
            "settle": timedelta(0),
            "max_unknown_share": 0.5,
            "min_query_sessions": 1,
            "memory_mb": 256,
            "session_key": None,
        }
        return freeze_tables(source, place, **(usual | options))

    take.source = source
    take.read = lambda table: pq.read_table(place / f"{table}.parquet").to_pandas()
    take.bytes = lambda: {path.name: path.read_bytes() for path in place.iterdir()}
    return take


def put(freeze, table, frame):
    """The rows as the table of the source, a column that all lack included."""
    rows = pa.table({f.name: pa.array(frame[f.name].to_list(), f.type) for f in TABLES[table]})
    pq.write_table(rows, freeze.source / table / "part-0000.parquet")


def test_sessions_are_numbered_in_the_order_they_appear_in_where_no_key_is_set(freeze, world):
    assert freeze().sessions == "numbered"
    asked = world.frame("requests").sort_values(["ts", "request_id"])
    number, _ = pd.factorize(asked["session_id"])
    wanted = [f"session-{n + 1:07d}" for n in number]
    assert freeze.read("requests")["session_id"].tolist() == wanted


def test_a_key_hashes_sessions_to_the_same_names_each_time_and_another_to_others(freeze, world):
    assert freeze(session_key=KEY).sessions == "keyed"
    once = freeze.read("requests")
    wanted = once["request_id"].map(world.frame("requests").set_index("request_id")["session_id"])
    assert once["session_id"].tolist() == [pseudonym(each, KEY) for each in wanted]
    assert once["session_id"].str.fullmatch("[0-9a-f]{32}").all()
    freeze(session_key=KEY, window=timedelta(days=2))
    later = freeze.read("requests").merge(once, on="request_id")
    assert len(later) and (later["session_id_x"] == later["session_id_y"]).all()
    freeze(session_key=b"another")
    assert not set(freeze.read("requests")["session_id"]) & set(once["session_id"])


def test_a_session_id_is_in_no_file_of_a_snapshot(freeze):
    for key in (None, KEY):
        freeze(session_key=key)
        assert not any(b"ses-" in data for data in freeze.bytes().values())


def test_the_hash_of_a_session_is_that_of_the_standard():
    """RFC 4231, test case 2, cut to 128 bits."""
    text = "what do ya want for nothing?"
    assert pseudonym(text, b"Jefe") == "5bdcc146bf60754e6a042426089575c7"


def test_the_key_comes_from_the_environment_and_is_never_told(running, run, tmp_path, monkeypatch):
    monkeypatch.setenv("PERENNIAL_SESSION_KEY", KEY.decode())
    code, out, err = run("snapshot", "--json")
    assert (code, err) == (0, "")
    about = (tmp_path / "snapshot" / "snapshot.json").read_text()
    assert json.loads(out)["sessions"] == json.loads(about)["sessions"] == "keyed"
    assert KEY.decode() not in out + about


def test_a_query_that_too_few_sessions_asked_is_left_out_whole(freeze, world):
    """The slow twin: groups of the redacted queries' content, counted in pandas."""
    asked = world.frame("requests").copy()
    alone = np.arange(len(asked)) % 7 == 0
    asked.loc[alone, "query"] = [
        f"secret {n % 9} of jo{n % 9}@example.org" for n in range(alone.sum())
    ]
    asked.loc[asked.index[:2], "query"] = ["Red shoe", "the shoes, red"]
    put(freeze, "requests", asked)
    key = asked["query"].str.replace(r"\S+@\S+", "<email>", regex=True).map(content_key)
    sessions = asked["session_id"].groupby(key).transform("nunique")
    for least in (1, 2, 4, 6):
        frozen = freeze(min_query_sessions=least)
        kept = asked[sessions >= least]
        assert set(freeze.read("requests")["request_id"]) == set(kept["request_id"])
        assert frozen.rare.requests == len(asked) - len(kept)
        plain = asked["query"].str.replace(r"\S+@\S+", "<email>", regex=True)
        assert frozen.rare.queries == plain[sessions < least].nunique()
        for table in ("impressions", "events"):
            theirs = world.frame(table)
            theirs = theirs[theirs["ts"] <= frozen.end] if "ts" in theirs else theirs
            mine = theirs[theirs["request_id"].isin(kept["request_id"])]
            assert len(freeze.read(table)) == len(mine)
            assert set(freeze.read(table)["request_id"]) <= set(kept["request_id"])
        assert len(freeze.read("judgements")) == len(world.frame("judgements"))
    assert 0 < len(kept) < len(asked)


def test_what_was_left_out_as_rare_is_counted_in_words_and_for_programs(running, run, tmp_path):
    write_params(tmp_path / "params.yaml", {"snapshot": {"min_query_sessions": 4}})
    code, out, _ = run("snapshot")
    rare = json.loads((tmp_path / "snapshot" / "snapshot.json").read_text())["rare"]
    assert code == 0 and rare["queries"] and rare["requests"] >= rare["queries"]
    assert f"{rare['queries']:,} queries of {rare['requests']:,} requests are left out" in out
    assert json.loads(run("snapshot", "--json")[1])["rare"] == rare


def test_findings_are_counted_as_often_as_they_were_asked_and_written(freeze, world):
    asked = world.frame("requests")
    asked.loc[:4, "query"] = "of jo@example.org and 192.168.0.17"
    asked.loc[5, "query"] = "of al@example.org, jo@example.org"
    put(freeze, "requests", asked)
    found = freeze().redacted["requests"]
    assert {kind: n for kind, n in found.items() if n} == {"email": 7, "ip": 5}
    rare = freeze(min_query_sessions=2)
    assert {kind: n for kind, n in rare.redacted["requests"].items() if n} == {"email": 5, "ip": 5}


def test_rows_that_share_their_place_and_a_shuffled_log_give_the_same_bytes(freeze, world):
    shown = world.frame("impressions")  # 40 times over: more than a thread's share, or a row group
    twins = pd.concat([shown.assign(score=n - shown["score"]) for n in range(40)])
    put(freeze, "impressions", twins)
    freeze()
    once = freeze.bytes()
    put(freeze, "impressions", twins.sample(frac=1.0, random_state=3))
    for table in ("requests", "events"):
        put(freeze, table, world.frame(table).sample(frac=1.0, random_state=4))
    freeze(memory_mb=64)
    assert freeze.bytes() == once


def test_a_log_by_days_is_the_same_log_and_only_its_window_is_read(freeze, world):
    window = timedelta(days=2)
    freeze(window=window)
    once = freeze.bytes()
    day_of = world.frame("requests").set_index("request_id")["ts"].dt.strftime("%Y-%m-%d")
    for table in LOG_TABLES:
        rows = world.arrow(table)
        (freeze.source / table / "part-0000.parquet").unlink()
        days = pd.Series(rows["request_id"].to_pylist()).map(day_of).to_numpy()
        for day in sorted(set(days)):
            folder = freeze.source / table / f"date={day}" / "hour=all"
            folder.mkdir(parents=True)
            pq.write_table(rows.filter(pa.array(days == day)), folder / "part.parquet")
    early = sorted((freeze.source / "requests").iterdir())[:3]
    assert len(list((freeze.source / "requests").iterdir())) >= 7
    freeze(window=window)
    assert freeze.bytes() == once
    for folder in early:
        for table in LOG_TABLES:
            path = freeze.source / table / folder.name / "hour=all" / "part.parquet"
            path.write_bytes(b"not read: it lies before the window")
    freeze(window=window)
    assert freeze.bytes() == once


def test_a_log_that_fits_into_no_memory_is_a_sentence(freeze, world):
    shown = pa.concat_tables([world.arrow("impressions")] * 400)
    pq.write_table(shown, freeze.source / "impressions" / "part-0000.parquet")
    with pytest.raises(PlaceUnusable, match=r"more room than 3 MB .* raise snapshot\.memory_mb"):
        freeze(memory_mb=3)


@pytest.mark.parametrize(
    "microseconds", [1_768_000_000 * 10**9, 2**63 - 1, -62_135_596_800 * 10**6]
)
def test_a_youngest_request_beyond_all_calendars_is_a_sentence(freeze, world, microseconds):
    rows = world.arrow("requests").slice(0, 1)
    odd = pa.array([microseconds], pa.int64()).cast(rows["ts"].type)
    rows = rows.set_column(rows.schema.get_field_index("ts"), "ts", odd)
    pq.write_table(rows, freeze.source / "requests" / "part-0000.parquet")
    with pytest.raises(TableInvalid, match="ts of table requests has a time that is not in"):
        freeze()


def test_an_event_that_was_sent_again_counts_once_and_on_nothing_shown_not_at_all(freeze, world):
    freeze()
    before, source = freeze.read("events"), world.frame("events")
    again = source.head(3).assign(ts=source["ts"].head(3) + pd.Timedelta(seconds=1))
    stray = source.head(1).assign(event_id="stray", doc_id="elsewhere")
    put(freeze, "events", pd.concat([source, again, stray, again]))
    frozen = freeze()
    assert frozen.events == EventsLeftOut(repeated=6, not_shown=1)
    pd.testing.assert_frame_equal(freeze.read("events"), before)


def test_events_that_contradict_each_other_or_are_many_strays_are_left_for_validate(freeze, world):
    freeze()
    before, source = len(freeze.read("events")), world.frame("events")
    other = source.head(1).assign(type="convert", value=1.0)
    strays = source.head(len(source) // 10).assign(doc_id="elsewhere")
    strays["event_id"] = [f"stray-{i}" for i in range(len(strays))]
    put(freeze, "events", pd.concat([source, other, strays]))
    assert freeze().events == EventsLeftOut(0, 0)
    assert len(freeze.read("events")) == before + 1 + len(strays)
