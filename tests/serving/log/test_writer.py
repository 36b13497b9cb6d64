"""The log loses nothing that it took, says what it could not take, and doubles nothing."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.schema import TABLES
from perennial.data.sources.days import day_of, part_files
from perennial.serving.log.parts import recover, write_parts
from perennial.serving.log.records import Event, Request, batches_of
from perennial.serving.log.spool import Spool, batches, stream_of
from perennial.serving.log.writer import LogWriter

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = NOON.date()


def request(number, ts=NOON):
    about = ("ann", ts, "word", "production", "stable", "rel-1", 1.5, False)
    shown = [f"doc-{i}" for i in (1, 2, 3)], [1 / i for i in (1, 2, 3)], [0.9] * 3
    return Request(f"request-{number:06d}", *about, *shown)


def event(number):
    return Event(f"event-{number}", f"request-{number:06d}", "doc-1", "click", None, NOON)


def open_log(source, **changes):
    given = {"capacity": 10**6, "flush_seconds": 0.01, "rotate_seconds": 1e9, "rotate_rows": 10**9}
    return LogWriter(source, **(given | changes))


def read(source, table):
    return [row for path in part_files(source / table) for row in pq.read_table(path).to_pylist()]


def ids(source, table="requests"):
    return [row["request_id"] for row in read(source, table)]


def wait_until(holds, seconds=5.0):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_after_close_all_that_was_put_is_parquet_once(tmp_path):
    log = open_log(tmp_path)
    for number in range(2_000):
        assert log.put(request(number))
        log.put(event(number))
    log.close()
    assert ids(tmp_path) == [f"request-{n:06d}" for n in range(2_000)]
    assert set(Counter(ids(tmp_path, "impressions")).values()) == {3}
    assert len(read(tmp_path, "events")) == 2_000
    assert log.counts.written == 4_000 and log.counts.dropped == log.counts.lost == 0
    assert list((tmp_path / ".spool").iterdir()) == []


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path):
    log = open_log(tmp_path, capacity=5, flush_seconds=60)
    began = time.monotonic()
    taken = [log.put(request(number)) for number in range(8)]
    assert time.monotonic() - began < 0.1
    assert taken == [True] * 5 + [False] * 3
    assert log.counts.dropped == 3
    log.close()
    assert len(ids(tmp_path)) == 5


def test_parts_are_rotated_by_time_and_rows_while_it_runs(tmp_path):
    log = open_log(tmp_path, rotate_rows=4)
    for number in range(3):
        log.put(request(number))
        wait_until(lambda: len(ids(tmp_path)) == number + 1)  # noqa: B023
    log.close()
    assert len(part_files(tmp_path / "requests")) == 3


def test_a_new_day_begins_new_files(tmp_path):
    log = open_log(tmp_path, now=lambda: NOON)
    for day in range(3):
        log.put(request(day, NOON + timedelta(days=day)))
        wait_until(lambda: log.counts.written == day + 1)  # noqa: B023
    log.close()
    folders = [path.parent.name for path in part_files(tmp_path / "requests")]
    assert folders == [f"date=2026-01-{day:02d}" for day in (5, 6, 7)]


def test_a_clock_that_jumps_puts_no_row_further_away_than_readers_look(tmp_path):
    log = open_log(tmp_path, now=lambda: NOON, flush_seconds=60)
    for number, days in enumerate([0, 400, 400, 0, -30, 1, 0]):  # the last: a moment older
        log.put(request(number, NOON + timedelta(days=days)))
    log.close()
    rows = {
        row["request_id"]: (row["ts"].date() - day_of(path)).days
        for path in part_files(tmp_path / "requests")
        for row in pq.read_table(path, partitioning=None).to_pylist()
    }
    assert sorted(rows.values()) == [-1, 0, 0, 0, 0, 0, 0] and len(rows) == 7


def test_a_clock_that_was_set_back_stops_no_rotation(tmp_path):
    at = [NOON, 0.0]
    log = open_log(tmp_path, now=lambda: at[0], clock=lambda: at[1], rotate_seconds=300.0)
    at[0] -= timedelta(days=365)
    log.put(request(1))
    wait_until(lambda: log.counts.written == 1)
    assert ids(tmp_path) == []
    at[1] += 301.0
    wait_until(lambda: ids(tmp_path) == ["request-000001"])
    log.close()


def test_what_no_disk_takes_is_counted_and_the_log_goes_on_where_it_can(tmp_path, caplog):
    log = open_log(tmp_path, rotate_rows=1)
    log.put(request(1))
    wait_until(lambda: ids(tmp_path))
    shutil.rmtree(tmp_path / ".spool")
    (tmp_path / ".spool").write_text("in the way")
    log.put(request(2))
    wait_until(lambda: log.counts.lost == 1)
    (tmp_path / ".spool").unlink()
    log.put(request(3))
    wait_until(lambda: len(ids(tmp_path)) == 2)
    log.close()
    assert sorted(ids(tmp_path)) == ["request-000001", "request-000003"]
    assert "could not be written" in caplog.text


def test_rows_are_what_was_shown_whoever_showed_it():
    one = request(1)
    about = ("bob", NOON, "more", "production", "interleaved", "rel-1", 2.0, False)
    teams, releases = ["stable", "candidate"], ["rel-1", "rel-2"]
    both = Request("request-2", *about, ["a", "b"], [0.5, 0.25], (), teams, releases)
    none = Request("request-3", *about, [], [])
    found = batches_of([one, both, event(1), none])
    assert {
        name: batch.schema.equals(TABLES[name]) for name, batch in found.items()
    } == dict.fromkeys(("events", "requests", "impressions"), True)
    assert found["requests"]["n_results"].to_pylist() == [3, 2, 0]
    rows = [tuple(row.values()) for row in found["impressions"].to_pylist()]
    assert rows[0] == ("request-000001", "doc-1", 1, 1.0, "rel-1", None, 0.9)
    assert [row[2] for row in rows] == [1, 2, 3, 1, 2]
    assert rows[3:] == [
        ("request-2", "a", 1, 0.5, "rel-1", "stable", None),
        ("request-2", "b", 2, 0.25, "rel-2", "candidate", None),
    ]


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_disk_that_takes_nothing_costs_a_few_descriptors_and_then_the_log_goes_on(tmp_path):
    (tmp_path / "requests").write_text("in the way of the parquet")
    log = open_log(tmp_path, rotate_rows=1)
    before, held = descriptors(), []
    for number in range(40):
        log.put(request(number))
        wait_until(lambda: log.counts.written == number + 1)  # noqa: B023
        time.sleep(0.015)
        held.append(descriptors())
    assert max(held) <= before + 16
    assert log.counts.lost == 0
    (tmp_path / "requests").unlink()
    log.close()
    assert sorted(ids(tmp_path)) == [f"request-{n:06d}" for n in range(40)]
    assert descriptors() <= before


def test_a_folder_that_takes_no_spool_costs_no_descriptor(tmp_path):
    log = open_log(tmp_path, rotate_rows=1)
    log.put(request(1))
    wait_until(lambda: ids(tmp_path))
    shutil.rmtree(tmp_path / ".spool")
    (tmp_path / ".spool").write_text("in the way")
    before = descriptors()
    for number in range(2, 8):
        log.put(request(number))
        wait_until(lambda: log.counts.lost == number - 1)  # noqa: B023
    assert descriptors() <= before
    log.close()


def test_the_log_goes_on_while_a_spool_becomes_parquet(tmp_path, monkeypatch):
    go, begun = threading.Event(), threading.Event()

    def slowly(spool, source):
        begun.set()
        assert go.wait(10)
        return write_parts(spool, source)

    monkeypatch.setattr("perennial.serving.log.rotation.write_parts", slowly)
    log = open_log(tmp_path, rotate_rows=1)
    log.put(request(1))
    assert begun.wait(5)
    log.put(request(2))
    wait_until(lambda: log.counts.written == 2)
    assert ids(tmp_path) == []
    go.set()
    log.close()
    assert sorted(ids(tmp_path)) == ["request-000001", "request-000002"]


def spooled(folder, rows=6):
    spool = Spool(folder, day=DAY, name="serve-1")
    for number in range(rows):
        for table, some in batches_of([request(number)]).items():
            spool.append(table, some)
    spool.close()
    os.close(spool._lock)  # as if its process were dead
    return spool


def test_a_spool_that_was_left_becomes_parquet_once_however_often_it_was_begun(tmp_path):
    spool = spooled(tmp_path / ".spool")
    write_parts(spool.path, tmp_path)  # killed before it could remove the spool
    assert recover(tmp_path / ".spool", tmp_path) == 24
    assert recover(tmp_path / ".spool", tmp_path) == 0
    assert ids(tmp_path) == [f"request-{n:06d}" for n in range(6)]
    assert list((tmp_path / ".spool").iterdir()) == []


def test_a_spool_that_another_process_takes_over_meanwhile_is_left_to_it(tmp_path):
    spooled(tmp_path / ".spool")
    (tmp_path / ".spool" / f"{DAY}.gone.lock").symlink_to("nothing")  # listed, and not there
    assert recover(tmp_path / ".spool", tmp_path) == 24


def test_the_spool_of_a_living_process_is_left_alone(tmp_path):
    log = open_log(tmp_path)
    log.put(request(1))
    wait_until(lambda: log.counts.written == 1)
    assert recover(tmp_path / ".spool", tmp_path) == 0
    open_log(tmp_path).close()
    assert ids(tmp_path) == []
    log.close()
    assert ids(tmp_path) == ["request-000001"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return spooled(tmp_path_factory.mktemp("whole"))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_wherever_a_stream_was_cut_its_whole_batches_are_read(whole, tmp_path_factory, data):
    stream = stream_of(whole.path, "requests").read_bytes()
    cut = data.draw(st.integers(0, len(stream)))
    place = tmp_path_factory.mktemp("cut") / "2026-01-05.serve-1"
    stream_of(place, "requests").write_bytes(stream[:cut])
    found = [row["request_id"] for b in batches(place, "requests") for row in b.to_pylist()]
    assert found == [f"request-{n:06d}" for n in range(6)][: len(found)]
    assert len(found) >= 6 * (cut - 2_000) // len(stream) or cut < 2_000
    if cut == len(stream):
        assert len(found) == 6


PROGRAM = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from test_writer import open_log, request

log = open_log(Path(sys.argv[1]), flush_seconds=0.1)
for number in range(10**9):
    log.put(request(number))
    print(number, time.monotonic(), flush=True)
    time.sleep(0.0005)
"""


@pytest.mark.slow
def test_sigkill_takes_what_came_since_the_last_flush_and_nothing_else(tmp_path):
    command = [sys.executable, "-c", PROGRAM, tmp_path, Path(__file__).parent]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    lines = []
    while not lines or lines[-1][1] - lines[0][1] < 1.5:
        number, at = process.stdout.readline().split()
        lines.append((int(number), float(at)))
    process.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    lines += [(int(n), float(at)) for n, at in map(str.split, process.stdout.read().splitlines())]
    process.wait()
    process.stdout.close()
    open_log(tmp_path).close()
    found = ids(tmp_path)
    assert len(found) == len(set(found))
    lost = [at for number, at in lines if f"request-{number:06d}" not in set(found)]
    assert len(found) > 100
    assert all(killed - at < 0.1 + 0.4 for at in lost)  # 0.4 s for a machine that is busy
