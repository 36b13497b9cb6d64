"""What is kept of a log for drift: queries as often as they were asked lately, one of a session."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.references import REFERENCES, sample_references

END = datetime(2026, 3, 2, tzinfo=UTC)


def write(path, rows, channels=None):
    """(query, session, days ago) to a log."""
    columns = {
        "request_id": [f"q{i}" for i in range(len(rows))],
        "query": [query for query, _, _ in rows],
        "session_id": [str(session) for _, session, _ in rows],
        "ts": pa.array([END - timedelta(days=ago) for *_, ago in rows], pa.timestamp("us", "UTC")),
        "channel": channels or ["production"] * len(rows),
    }
    pq.write_table(pa.table(columns), path)
    return path


def sample(path, **changes):
    found = sample_references(
        path, **{"channel": "production", "days": 28, "most": 100, "seed": 1} | changes
    )
    assert found.schema == REFERENCES
    return {row["query"]: (row["requests"], row["sessions"]) for row in found.to_pylist()}


def test_a_session_counts_by_its_first_query_of_the_last_days(tmp_path):
    rows = [
        ("asked before", "a", 40), ("first", "a", 20), ("again in other words", "a", 19),
        ("first", "b", 1), ("  ", "c", 2), ("last", "d", 0), ("last", "d", 0),
    ]  # fmt: skip
    log = write(tmp_path / "requests.parquet", rows)
    assert sample(log) == {"first": (2, 2), "last": (1, 1)}
    assert sample(log, days=50) == {"asked before": (1, 1), "first": (1, 1), "last": (1, 1)}


def test_the_sample_is_of_traffic_and_the_same_however_the_rows_lie(tmp_path):
    rows = [("often", i, 1) for i in range(900)] + [(f"rare {i}", 1000 + i, 1) for i in range(100)]
    found = sample(write(tmp_path / "a.parquet", rows), most=200)
    assert sum(requests for requests, _ in found.values()) == 200
    assert 165 <= found["often"][0] <= 192  # 180, give or take three deviations
    assert found["often"][1] == 900
    table = pq.read_table(tmp_path / "a.parquet")
    pq.write_table(table.take(list(range(len(table)))[::-1]), tmp_path / "b.parquet")
    assert sample(tmp_path / "b.parquet", most=200) == found
    assert sample(tmp_path / "a.parquet", most=200, seed=2) != found


def test_a_log_without_a_word_keeps_nothing(tmp_path):
    assert sample(write(tmp_path / "requests.parquet", [(" ", "a", 0)])) == {}


def test_the_people_of_another_channel_are_not_asked(tmp_path):
    rows = [("mine", "a", 2), ("theirs", "b", 0), ("theirs", "c", 1)]
    channels = ["production", "staging", "staging"]
    log = write(tmp_path / "requests.parquet", rows, channels)
    assert sample(log) == {"mine": (1, 1)}
    assert sample(log, channel="staging") == {"theirs": (2, 2)}
    assert sample(log, channel="nobody's") == {}


def test_a_channel_that_is_silent_for_long_has_its_own_last_days(tmp_path):
    rows = [("mine", "a", 50), ("mine before", "b", 90), ("theirs", "c", 0)]
    log = write(tmp_path / "requests.parquet", rows, ["production"] * 2 + ["staging"])
    assert sample(log) == {"mine": (1, 1)}
