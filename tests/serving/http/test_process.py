"""The service as a process: ended, killed, and beside a channel that moves."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from service_process import ROOT, people, service, terminate
from tiny_release import publish_folders

from perennial.data.sources.days import part_files
from perennial.release.manifests.manifest import read_manifest

pytestmark = pytest.mark.slow
BUFFER_SECONDS = 0.05  # serve.log_flush_seconds, in params.yaml


@pytest.fixture
def home(store, tmp_path):
    """The folder whose store serves; `store` lies in it."""
    return tmp_path


def logged(home):
    files = part_files(home / "source" / "requests")
    return [row["request_id"] for path in files for row in pq.read_table(path).to_pylist()]


def answers(asked, count):
    """Waits until the people have that many."""
    while len(asked.answered) < count:
        time.sleep(0.05)


def test_sigterm_answers_what_it_has_and_loses_nothing_of_the_log(home):
    with service(home) as (process, port), people(port) as asked:
        answers(asked, 120)
        ended = terminate(process)
    assert [why for why, at in asked.failed if at < ended] == []
    ids = [request_id for request_id, _ in asked.answered]
    assert len(ids) > 100
    # An answer that was logged may not have reached anybody; never the other way round.
    assert set(ids) <= set(logged(home))
    assert len(logged(home)) == len(set(logged(home)))


def test_sigkill_loses_at_most_the_buffer_and_the_next_process_brings_the_rest(home):
    with service(home) as (process, port), people(port) as asked:
        answers(asked, 150)
        time.sleep(2)
        answers(asked, 300)
        killed = time.monotonic()
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = [(r, at) for r, at in asked.answered if at <= killed]
    assert len(before) > 100
    assert [why for why, at in asked.failed if at < killed] == []  # else only what was in flight
    assert logged(home) == []  # all of it is in the spool
    with service(home) as (process, _):
        terminate(process)
    found = logged(home)
    assert len(found) == len(set(found))
    lost = [at for request_id, at in before if request_id not in set(found)]
    assert len(lost) < len(before) / 2
    assert all(killed - at < BUFFER_SECONDS + 0.3 for at in lost)  # 0.3 s for a busy machine


def test_a_channel_that_moves_under_load_fails_no_request(home, store, swap, retrained, first):
    second = publish_folders(store, retrained).release_id
    one = store.read_channel("production").stable
    with service(home) as (process, port), people(port) as asked:
        for release_id in [second, one] * 4:
            swap(release_id)
            until = time.monotonic() + 20
            while asked.releases[-1:] != [release_id]:
                assert time.monotonic() < until, f"{release_id} never served"
                time.sleep(0.01)
        failed = list(asked.failed)
        terminate(process)
    assert failed == []
    assert set(asked.releases) == {one, second}


def test_sigterm_does_not_wait_for_a_release_that_is_on_its_way(home, store, swap, retrained):
    second = publish_folders(store, retrained)
    stable = store.read_channel("production").stable
    first = read_manifest(store.manifest_bytes(stable), release_id=stable)
    digest = max(second.objects().keys() - first.objects().keys())
    there = home / "store" / "objects" / digest[7:9] / digest[7:]
    there.chmod(0o600)
    with there.open("r+b") as large:
        large.truncate(100 << 30)  # holes, of which a disk needs nothing and a digest a minute
    with service(home) as (process, _):
        swap(second.release_id)
        until = time.monotonic() + 20
        while not any((home / "cache" / "objects").rglob(".*.tmp")):
            assert time.monotonic() < until
            time.sleep(0.01)
        began = terminate(process)
    assert time.monotonic() - began < 15


def test_beyond_loopback_it_starts_with_keys_only_and_asks_for_them(home):
    command = [sys.executable, "-m", "perennial.cli", "serve", "--host", "0.0.0.0", "--port", "0"]
    places = os.environ | {"PERENNIAL_HOME": str(home)}
    done = subprocess.run(command, env=places, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "PERENNIAL_ACCESS_KEYS" in done.stderr and "Traceback" not in done.stderr
    key = "a-long-key-of-the-house"
    with service(home, "--host", "0.0.0.0", PERENNIAL_ACCESS_KEYS=key) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        statuses = []
        for headers in ({}, {"Authorization": f"Bearer {key}"}):
            json_type = {"Content-Type": "application/json"}
            connection.request("POST", "/search", json.dumps({"query": "a"}), headers | json_type)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        assert statuses == [401, 200]
        connection.close()
        terminate(process)
        assert key not in process.stdout.read() + process.stderr.read()


def test_an_address_that_is_taken_is_bad_input(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "perennial.cli", "serve", "--port", port]
        places = os.environ | {"PERENNIAL_HOME": str(home)}
        done = subprocess.run(
            command, env=places, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 2 and "choose another" in done.stderr
