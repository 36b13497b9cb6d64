"""Sixteen publishers at once on one channel: one winner of every move, who knows; nothing lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lossy import FAIL, LOSE_ANSWER, PASS, lossy

from perennial.release.verify import verify_store

pytestmark = pytest.mark.slow
PUBLISHER = Path(__file__).with_name("publisher.py")
PUBLISHERS, MOVES = 16, 2


def crowd(place, folders):
    """(publisher, generation, release_id, write_id) of every move that somebody was told of."""
    command = [sys.executable, str(PUBLISHER), "crowd", place, str(folders.index.parent)]
    command += [json.dumps(folders.catalogue), str(PUBLISHERS), str(MOVES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def assert_nothing_was_lost(store, told):
    assert len(told) == PUBLISHERS * MOVES
    generations = sorted(int(generation) for _, generation, _, _ in told)
    assert generations == list(range(1, PUBLISHERS * MOVES + 1))
    channel = store.read_channel("production")
    assert channel.generation == PUBLISHERS * MOVES
    by_generation = {int(row[1]): row for row in told}
    assert [move.to for move in channel.history] == [
        by_generation[generation][2] for generation in generations
    ]
    write_ids = [by_generation[generation][3] for generation in generations]
    assert [*channel.writes, channel.write_id] == write_ids
    assert sorted(store.release_ids()) == sorted(row[2] for row in told)
    assert store.pending() == []
    assert verify_store(store) == []


def test_on_a_disk(store, first):
    assert_nothing_was_lost(store, crowd(str(store.root), first))


def test_on_s3_with_answers_lost_in_the_middle(s3_store, s3_server, first, monkeypatch):
    lost = []

    def fault(request):
        if "channels/" in request.path and request.method == "PUT" and request.number % 2:
            lost.append(request)
            return LOSE_ANSWER
        return FAIL if request.number % 29 == 0 else PASS

    with lossy(s3_server.endpoint) as proxy:
        proxy.fault = fault
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        told = crowd(s3_store.place, first)
    assert len(lost) > PUBLISHERS
    assert_nothing_was_lost(s3_store, told)
