"""Dynamic batching: what waits while the encoder is busy is embedded together, on one thread.

One call for 16 queries costs the encoder little more than one for a single query; the thread that
reads from the network is never kept.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import faiss
import numpy as np

from perennial.serving.loaded import Answer, LoadedRelease
from perennial.serving.routing import Arm


@dataclass(frozen=True)
class Found:
    """The answers to one request, and the seconds that its batch took in each step."""

    answers: list[Answer]
    release: LoadedRelease
    encode_seconds: float
    search_seconds: float


class Overloaded(Exception):
    """So many queries wait already that another would wait for too long."""


@dataclass(frozen=True)
class _Asked:
    queries: Sequence[str]
    k: int
    slice: str | None
    arm: Arm
    future: "asyncio.Future[Found]" = field(repr=False)


class Batcher:
    """`take(arm, asked=queries)` gives the release; all queries of a batch and arm are of it."""

    def __init__(
        self,
        take: Callable[..., LoadedRelease],
        *,
        batch_queries: int,
        wait_seconds: float,
        max_waiting: int,
        search_threads: int,
    ) -> None:
        self._take, self._batch_queries = take, batch_queries
        self._wait_seconds, self._max_waiting = wait_seconds, max_waiting
        self._search_threads = search_threads
        self._asked: deque[_Asked] = deque()
        self._waiting = 0  # queries, of the loop's thread and the batcher's
        self._condition = threading.Condition()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="perennial-batcher", daemon=True)
        self._thread.start()

    async def ask(self, queries: Sequence[str], k: int, *, slice: str | None, arm: Arm) -> Found:
        """The answers to checked queries; raises Overloaded, and whatever the release raises."""
        if self._waiting + len(queries) > max(self._max_waiting, len(queries)):
            raise Overloaded
        future: asyncio.Future[Found] = self._loop.create_future()
        with self._condition:
            self._asked.append(_Asked(queries, k, slice, arm, future))
            self._waiting += len(queries)
            self._condition.notify()
        return await future

    def close(self) -> None:
        """Answer what waits, and end the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        # OpenMP keeps it per calling thread. Its workers spin between two searches, and would take
        # the core that reads from the network.
        faiss.omp_set_num_threads(self._search_threads)
        while batch := self._next():
            arms: dict[Arm, list[_Asked]] = {}
            for asked in batch:
                arms.setdefault(asked.arm, []).append(asked)
            # Nobody on stable waits for a candidate of the same batch: its slowness is its own.
            for arm, group in sorted(arms.items(), key=lambda each: each[0] != "stable"):
                done: list[tuple[_Asked, Found | Exception]] = []
                try:
                    found = self._answer(arm, group)
                    done += zip(group, found, strict=True)
                except Exception as error:  # noqa: BLE001  who asked is told
                    done += [(asked, error) for asked in group]
                self._loop.call_soon_threadsafe(_resolve, done)

    def _next(self) -> list[_Asked]:
        """What waits, at most a batch; nothing once it is closed and all is answered."""
        with self._condition:
            while not self._asked and not self._closed:
                self._condition.wait()
            if self._wait_seconds and self._asked and not self._closed:
                until = time.monotonic() + self._wait_seconds
                while self._waiting < self._batch_queries:
                    if (left := until - time.monotonic()) <= 0:
                        break
                    self._condition.wait(left)
            batch: list[_Asked] = []
            count = 0
            while self._asked:
                count += len(self._asked[0].queries)
                if batch and count > self._batch_queries:
                    break
                batch.append(self._asked.popleft())
            self._waiting -= sum(len(asked.queries) for asked in batch)
            return batch

    def _answer(self, arm: Arm, group: Sequence[_Asked]) -> list[Found]:
        queries = [query for asked in group for query in asked.queries]
        release = self._take(arm, asked=queries)
        began = time.perf_counter()
        vectors = release.embed(queries)
        encode_seconds = time.perf_counter() - began
        ends = np.cumsum([len(asked.queries) for asked in group])
        parts = dict(zip(map(id, group), np.split(vectors, ends[:-1]), strict=True))
        alike: dict[tuple[int, str | None], list[_Asked]] = {}
        for asked in group:
            alike.setdefault((asked.k, asked.slice), []).append(asked)
        found: dict[int, Found] = {}
        for (k, slice), some in alike.items():
            began = time.perf_counter()
            rows = np.ascontiguousarray(np.concatenate([parts[id(asked)] for asked in some]))
            answers = iter(release.find(rows, k, slice=slice))
            seconds = time.perf_counter() - began
            for asked in some:
                mine = [next(answers) for _ in asked.queries]
                found[id(asked)] = Found(mine, release, encode_seconds, seconds)
        return [found[id(asked)] for asked in group]


def _resolve(done: list[tuple[_Asked, Found | Exception]]) -> None:
    for asked, result in done:
        if asked.future.done():  # whoever asked has hung up
            continue
        if isinstance(result, Exception):
            asked.future.set_exception(result)
        else:
            asked.future.set_result(result)
