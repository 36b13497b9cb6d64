"""Up to when a log is known: a service's until now, an imported one's until its last request."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.data.schema import REQUESTS
from perennial.data.sources.days import is_served
from perennial.serving.log.writer import LogWriter
from perennial.verbs.watching.known import Known, import_signals, last_known

NOW = datetime(2026, 2, 2, 12, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0)
SERVED = "serve-17-0a1b2c3d-00001"
USUAL = {
    "session_id": "s", "query": "sort", "channel": "production", "arm": "stable",
    "release_id": "rel-000000000000", "n_results": 3, "latency_ms": 1.0, "explored": False,
}  # fmt: skip


def put(source, path, *hours_ago):
    rows = [
        USUAL | {"request_id": f"{path}-{hours}", "ts": NOW - timedelta(hours=hours)}
        for hours in hours_ago
    ]
    place = source / "requests" / f"{path}.parquet"
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=REQUESTS), place)


def known(source):
    return last_known(source, now=NOW, weeks=4)


def test_a_log_that_came_at_night_is_known_until_its_last_request(tmp_path):
    put(tmp_path, "date=2026-02-01/export", 14, 30)
    put(tmp_path, "date=2026-01-31/export", 40)
    assert known(tmp_path) == Known(NOW - timedelta(hours=14), is_imported=True)
    put(tmp_path, "date=2026-02-02/tomorrow", -5)  # a clock that was wrong tells nothing
    put(tmp_path, "date=2026-02-02/export", 13)
    assert known(tmp_path).until == NOW - timedelta(hours=13)


def test_the_silence_of_a_service_is_measured_to_the_clock(tmp_path):
    put(tmp_path, f"date=2026-02-01/{SERVED}", 30)
    put(tmp_path, "date=2026-01-20/export", 300)
    assert known(tmp_path) == Known(NOW, is_imported=False)
    put(tmp_path, "date=2026-02-02/export", 12)
    assert not known(tmp_path).is_imported, "of neighbouring days nobody knows who is ahead"


def test_a_company_that_no_longer_serves_itself_is_known_by_its_imports(tmp_path):
    put(tmp_path, f"date=2026-01-20/{SERVED}", 300)
    put(tmp_path, "date=2026-02-01/export", 14)
    assert known(tmp_path) == Known(NOW - timedelta(hours=14), is_imported=True)


@pytest.mark.parametrize("hours_ago", [None, 24 * 60, -3])
def test_without_a_request_in_the_weeks_before_there_is_silence(tmp_path, hours_ago):
    if hours_ago is not None:
        put(tmp_path, "part", hours_ago)
    assert known(tmp_path) == Known(NOW, is_imported=False)


def test_imports_that_no_longer_come_are_told_to_a_person(tmp_path):
    late = Known(NOW - timedelta(hours=80), is_imported=True)
    (signal,) = import_signals(late, now=NOW, page_hours=72.0)
    assert signal.about == "operation" and signal.effect == 80 > signal.floor and signal.p is None
    (early,) = import_signals(Known(MIDNIGHT, is_imported=True), now=NOW, page_hours=72.0)
    assert early.effect < early.floor
    assert import_signals(Known(NOW, is_imported=False), now=NOW, page_hours=72.0) == []


def test_the_files_of_a_service_are_known_by_their_names(tmp_path):
    writer = LogWriter(
        tmp_path, capacity=10, flush_seconds=0.01, rotate_seconds=100.0, rotate_rows=100
    )
    name = writer._spool.path.name.partition(".")[2]
    writer.close()
    assert is_served(tmp_path / f"{name}.parquet")
    assert not is_served(tmp_path / "export.parquet")
