"""Dynamic batching: what waits while the encoder is busy is embedded together.

One call for 16 queries costs the encoder little more than one for a single query; the thread that
reads from the network is never kept. So one thread takes whatever there is, and the others only
what fills a batch by itself: two that shared single queries would answer each of them later. Where
a batch is a few queries at the most, there are no others.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import faiss
import numpy as np

from perennial.serving.answer import Answer
from perennial.serving.loaded import LoadedRelease
from perennial.serving.routing import Arm

_WORTH_A_THREAD = 4  # queries: of fewer, most is the interpreter's work, which no two do at once


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
        threads: int,
    ) -> None:
        self._take, self._batch_queries = take, batch_queries
        self._wait_seconds, self._max_waiting = wait_seconds, max_waiting
        self._asked: deque[_Asked] = deque()
        self._waiting = 0  # queries, of the loop's thread and the batcher's
        others = threads - 1 if batch_queries >= _WORTH_A_THREAD else 0
        lock = threading.Lock()
        self._some, self._many = threading.Condition(lock), threading.Condition(lock)
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(
                target=self._run, args=(next_batch,), name="perennial-batcher", daemon=True
            )
            for next_batch in (self._next, *[self._next_whole] * others)
        ]
        for thread in self._threads:
            thread.start()

    async def ask(self, queries: Sequence[str], k: int, *, slice: str | None, arm: Arm) -> Found:
        """The answers to checked queries; raises Overloaded, and whatever the release raises."""
        if self._waiting + len(queries) > max(self._max_waiting, len(queries)):
            raise Overloaded
        future: asyncio.Future[Found] = self._loop.create_future()
        with self._some:
            self._asked.append(_Asked(queries, k, slice, arm, future))
            self._waiting += len(queries)
            self._some.notify()
            if self._waiting >= self._batch_queries:
                self._many.notify()
        return await future

    def close(self) -> None:
        """Answer what waits, and end the threads."""
        with self._some:
            self._closed = True
            self._some.notify()
            self._many.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self, next_batch: "Callable[[], list[_Asked]]") -> None:
        # OpenMP keeps it per calling thread. Its workers spin between two searches, and would take
        # the core that reads from the network.
        faiss.omp_set_num_threads(1)
        while batch := next_batch():
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
        with self._some:
            while True:
                while not self._asked and not self._closed:
                    self._some.wait()
                until = time.monotonic() + self._wait_seconds
                while self._asked and self._waiting < self._batch_queries and not self._closed:
                    if (left := until - time.monotonic()) <= 0:
                        break
                    self._some.wait(left)
                # Another thread may have taken all of it meanwhile.
                if (batch := self._taken()) or self._closed:
                    return batch

    def _next_whole(self) -> list[_Asked]:
        """A batch of those that wait, where they fill one; nothing once it is closed."""
        with self._many:
            while self._waiting < self._batch_queries and not self._closed:
                self._many.wait()
            return [] if self._closed else self._taken()

    def _taken(self) -> list[_Asked]:
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
            texts = [query for asked in some for query in asked.queries]
            answers = iter(release.find(rows, k, slice=slice, queries=texts))
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
