"""The mirror: live queries are asked again of a candidate, behind the answers that people wait for.

Nobody sees what the candidate answers, and nobody waits for it: a query is offered after its answer
is known, taken if there is room and otherwise dropped and counted. One thread asks, and rests so
long after each query that it is busy for a small share of the time. It keeps the priority of those
who answer: a thread that the system puts aside for other processes may hold the interpreter
meanwhile, and every answer waits for it (on two busy cores: 51 ms at the 99th percentile, not 15).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Protocol

from perennial.errors import BadInput
from perennial.serving.answer import Answer
from perennial.serving.mirrored import Counts, Keep, Pair

_LOOK_SECONDS = 0.02  # waking it with every query would take the interpreter from the next answer
_TIMED_EVERY = 4
_log = logging.getLogger(__name__)


class Ask(Protocol):
    """What answers queries: a release's `search_many`, or a searcher's for one arm."""

    def __call__(
        self, queries: Sequence[str], k: int = 10, *, slice: str | None = None
    ) -> Sequence[Answer]: ...


@dataclass(frozen=True)
class _Offer:
    request_id: str
    query: str
    k: int
    slice: str | None
    stable: Answer


class Mirror:
    """Of one candidate, `release_id`; close it when that leaves the channel.

    `keep` is given its id, the pairs and what was counted since it was last called: after `rows`
    pairs, after `seconds`, and at the end. `again` is what asks stable on the mirror's thread, of
    every fourth query, so that latencies of like conditions are compared.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        release_id: str,
        capacity: int,
        keep: Keep,
        again: Ask | None = None,
        busy_share: float = 0.01,
        rows: int = 500,
        seconds: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if capacity < 1 or not 0 < busy_share <= 1:
            raise BadInput(
                f"a mirror of capacity {capacity} that is busy for {busy_share} of the time cannot "
                "be; give it room for one query, and a share above 0 and of 1 at most"
            )
        self._ask, self._again, self._keep, self._now = ask, again, keep, now
        self._release_id, self._capacity = release_id, capacity
        self._busy_share, self._rows, self._seconds = busy_share, rows, seconds
        self._waiting: SimpleQueue[_Offer] = SimpleQueue()
        # Held for an addition, and by those who offer only: never by the thread that asks.
        self._counting = threading.Lock()
        self._offered = self._dropped = self._strayed = 0
        self._failed = self._compared = self._lost = 0
        self._told = Counts()
        self._pairs: list[Pair] = []
        self._said = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="perennial-mirror", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counts:
        """What was counted until now."""
        dropped = self._dropped + self._strayed
        return Counts(self._offered, dropped, self._failed, self._compared, self._lost)

    def offer(
        self, query: str, answer: Answer, *, request_id: str, k: int = 10, slice: str | None = None
    ) -> bool:
        """Whether the query will be asked again; `answer` is stable's own, before any exploration.

        Never waits for the candidate, never raises, costs microseconds.
        """
        with self._counting:
            self._offered += 1
            if self._stopped.is_set() or self._waiting.qsize() >= self._capacity:
                self._dropped += 1
                return False
            self._waiting.put(_Offer(request_id, query, k, slice, answer))
            return True

    def close(self, *, timeout_seconds: float = 5.0) -> None:
        """Take no more, drop what waits, keep what was compared; a query under way may end within
        the time, then it is left to itself."""
        with self._counting:
            self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_seconds)

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _work(self) -> None:
        due = time.monotonic() + self._seconds
        while not self._stopped.is_set():
            began, idle = time.perf_counter(), False
            try:
                self._compare(self._waiting.get_nowait())
            except Empty:
                idle = True
            if len(self._pairs) >= self._rows or time.monotonic() >= due:
                self._write()
                due = time.monotonic() + self._seconds
            rest = (time.perf_counter() - began) * (1 / self._busy_share - 1)
            self._stopped.wait(max(rest, _LOOK_SECONDS if idle else 0.0))
        with self._counting:  # nobody adds any more
            self._dropped += self._waiting.qsize()
        self._write()

    def _compare(self, offer: _Offer) -> None:
        turn = self._compared % (2 * _TIMED_EVERY)
        # Who goes first finds cold caches, so they take turns.
        before = self._again_ms(offer) if turn == 0 else None
        began = time.perf_counter()
        try:
            (candidate,) = self._ask([offer.query], offer.k, slice=offer.slice)
        # Whatever a candidate trips over, it is the mirror's to count and nobody's to notice.
        except Exception as error:  # noqa: BLE001
            self._failed += 1
            self._say(f"{self._release_id} fails on live queries: {type(error).__name__}: {error}")
            return
        candidate_ms = (time.perf_counter() - began) * 1000
        if candidate.release_id != self._release_id:  # it has left, and this mirror will end
            self._strayed += 1
            return
        after = self._again_ms(offer) if turn == _TIMED_EVERY else None
        self._compared += 1
        stable_ms = after if before is None else before
        self._pairs.append(
            Pair(offer.request_id, self._now(), offer.stable, candidate, stable_ms, candidate_ms)
        )

    def _again_ms(self, offer: _Offer) -> float | None:
        if self._again is None:
            return None
        began = time.perf_counter()
        try:
            self._again([offer.query], offer.k, slice=offer.slice)
        except Exception:  # noqa: BLE001  stable's failures are the service's to count
            return None
        return (time.perf_counter() - began) * 1000

    def _write(self) -> None:
        pairs, self._pairs = self._pairs, []
        counts = self.counts
        since = counts.since(self._told)
        if not pairs and since == Counts():
            return
        try:
            self._keep(self._release_id, pairs, since)
            self._told = counts
        except Exception as error:  # noqa: BLE001  a full disk costs pairs, never an answer
            self._lost += len(pairs)
            self._say(f"{len(pairs)} mirrored pairs are lost: {error}")

    def _say(self, problem: str) -> None:
        if self._said != problem:
            _log.warning("mirror: %s", problem)
        self._said = problem
