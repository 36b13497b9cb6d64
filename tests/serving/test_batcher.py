"""Batching: whole batches are answered side by side, single queries together."""

import asyncio
import threading
import time

import numpy as np

from perennial.serving.answer import Answer
from perennial.serving.batcher import Batcher


class Release:
    """Answers each query by itself, once `together` batches are being embedded at one time."""

    def __init__(self, together):
        self.batches, self._all_here = [], threading.Barrier(together, timeout=10)

    def embed(self, queries):
        self.batches.append(len(queries))
        self._all_here.wait()
        return np.ones((len(queries), 1), dtype=np.float32)

    def find(self, vectors, k, *, slice, queries):
        return [Answer("rel-1", [query], [1.0]) for query in queries]


def asked(release, *requests, threads, batch_queries=4):
    async def ask():
        batcher = Batcher(
            lambda arm, *, asked: release,
            batch_queries=batch_queries,
            wait_seconds=0.0,
            max_waiting=100,
            threads=threads,
        )
        try:
            waits = (batcher.ask(each, 1, slice=None, arm="stable") for each in requests)
            return await asyncio.gather(*waits)
        finally:
            await asyncio.to_thread(batcher.close)

    return [[answer.doc_ids[0] for answer in found.answers] for found in asyncio.run(ask())]


def test_whole_batches_are_answered_side_by_side():
    requests = [[f"{i}-{j}" for j in range(4)] for i in range(6)]
    release = Release(together=2)  # one thread alone would never get on
    assert asked(release, *requests, threads=2) == requests
    assert release.batches == [4] * 6


def test_queries_that_fill_no_batch_are_not_shared_out():
    requests = [[f"query {i}"] for i in range(3)]
    release = Release(together=1)
    assert asked(release, *requests, threads=3) == requests
    assert sum(release.batches) == 3
    assert asked(Release(together=1), *[["a"] * 9, ["b"]] * 3, threads=3) == [["a"] * 9, ["b"]] * 3


def test_single_queries_are_answered_by_one_thread_however_many_there_may_be():
    used = set()

    class Watched(Release):
        def embed(self, queries):
            used.add(threading.get_ident())
            time.sleep(0.001)  # for another thread to take what waits, if there were one
            return super().embed(queries)

    release, requests = Watched(together=1), [[f"query {i}"] for i in range(50)]
    assert asked(release, *requests, threads=3, batch_queries=1) == requests
    assert release.batches == [1] * 50 and len(used) == 1
