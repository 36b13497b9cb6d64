"""What a watch reads of a log: one request of a session, and what became of it."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.live import opened, read_live
from perennial.data.schema import TABLES

NOON = datetime(2026, 2, 2, 12, tzinfo=UTC)


def write(folder, table, rows):
    """Rows as (column: value), what they lack filled with something harmless."""
    usual = {
        "channel": "production", "arm": "stable", "release_id": "rel-000000000000",
        "n_results": 2, "latency_ms": 1.0, "explored": False, "score": 1.0, "rank": 1,
    }  # fmt: skip
    columns = {f.name: [row.get(f.name, usual.get(f.name)) for row in rows] for f in TABLES[table]}
    path = folder / table / "part.parquet" if table != "catalogue" else folder / "catalogue.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=TABLES[table]), path)


def read(source, **changes):
    return read_live(
        source,
        channel="production",
        begin=NOON,
        end=NOON + timedelta(hours=2),
        click_window_seconds=1800,
        session_seconds=1800,
        short_dwell_seconds=10,
        **{"sampled_per_hour": 100, "memory_mb": 256, "spill": source / "spill"} | changes,
    )


def request(number, minute, session, query, **changes):
    moment = NOON + timedelta(minutes=minute)
    return {"request_id": f"q{number}", "session_id": session, "ts": moment, "query": query} | (
        changes
    )


def test_sessions_count_once_and_by_what_became_of_their_first_request(tmp_path):
    requests = [
        request(1, 1, "a", "stayed"),
        request(2, 2, "a", "again"),
        request(3, 3, "b", "left at once"),
        request(4, 4, "c", "nothing", n_results=0),
        request(5, 61, "d", " "),
        request(6, 62, "e", "elsewhere", channel="other"),
        request(7, 200, "f", "later"),
    ]
    event = {"doc_id": "guide-1", "type": "click", "value": None}
    soon = timedelta(seconds=30)
    events = [
        event | {"event_id": "1", "request_id": "q1", "ts": requests[0]["ts"] + soon},
        event | {"event_id": "2", "request_id": "q3", "ts": requests[2]["ts"] + soon},
        event | {"event_id": "3", "request_id": "q3", "ts": requests[2]["ts"] + soon,
                 "type": "dwell", "value": 2.0},
        event | {"event_id": "4", "request_id": "q5", "ts": requests[4]["ts"] + 90 * soon},
    ]  # fmt: skip
    shown = [{"request_id": f"q{n}", "doc_id": "guide-1"} for n in (1, 2, 3)]
    document = {"doc_id": "guide-1", "title": "t", "text": "x", "slice": "guide"}
    write(tmp_path, "requests", [*requests, requests[0]])
    write(tmp_path, "events", events)
    write(tmp_path, "impressions", shown)
    write(tmp_path, "catalogue", [document | {"updated_at": NOON}])
    live = read(tmp_path)
    rows = {(r["hour"] % 24, r["slice"]): r for r in live.counts.to_pylist()}
    guide, none, late = rows[12, "guide"], rows[12, None], rows[13, None]
    assert (guide["requests"], guide["sessions"]) == (3, 2)
    assert (guide["click success"], guide["events"], guide["reformulation"]) == (1, 2, 1)
    assert (none["zero results"], none["impressions"], none["events"]) == (1, 1, 0)
    assert (late["blank queries"], late["impressions"], late["events"]) == (1, 0, 0)
    asked = live.queries.to_pylist()
    assert sorted(row["query"] for row in asked) == [" ", "left at once", "nothing", "stayed"]
    assert len(read(tmp_path, sampled_per_hour=1).queries) == 2
    assert list((tmp_path / "spill").iterdir()) == []


def test_what_memory_cannot_hold_spills_where_nobody_else_reads_and_goes_again(tmp_path):
    with opened(tmp_path / "spill", memory_mb=16) as connection:
        ((place,),) = connection.sql("select current_setting('temp_directory')").fetchall()
        (folder,) = (tmp_path / "spill").iterdir()
        assert place == str(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        connection.sql("set preserve_insertion_order = false; set threads = 1")
        connection.sql("create table words as select md5(range::text) as w from range(600000)")
        assert any(folder.iterdir()), "so many words are more than 16 MB"
    assert not folder.exists()


def test_a_log_of_other_weeks_is_no_log(tmp_path):
    write(tmp_path, "requests", [request(1, 600, "a", "late")])
    document = {"doc_id": "d", "title": "t", "text": "x", "updated_at": NOON}
    write(tmp_path, "catalogue", [document])
    assert read(tmp_path) is None
