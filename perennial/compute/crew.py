"""Shards to their answers by workers that come, are slow, and die: who is asked for what, and when.

Few shards are under way at a time, so that whatever carries them to the workers and back holds no
more, however many there are. A shard whose worker died is asked of another; nothing is lost with a
worker but the time it spent.
"""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from perennial.errors import Interrupted

_LOOK_SECONDS = 5.0  # between two looks at who might be hired
_TRIES = 3


class WorkerLost(Exception):
    """A worker died, or its machine, or the way to it; in the words of the cluster."""


class Cluster(Protocol):
    """Where workers are had."""

    def room(self) -> int:
        """How many workers it can have now, those that are here included."""

    def hire(self) -> tuple[Hashable, Hashable]:
        """A worker, and a promise that is kept when it is ready."""

    def ask(self, worker: Hashable, given: Any) -> Hashable:
        """A promise of the worker's answer to a shard's parts."""

    def wait(self, promises: Sequence[Hashable], *, seconds: float) -> Sequence[Hashable]:
        """Promises that are kept or broken, one at least unless the time passed."""

    def result(self, promise: Hashable) -> Any:
        """What was promised; raises WorkerLost, or what the work itself raised."""

    def dismiss(self, worker: Hashable) -> None:
        """End a worker."""


@dataclass
class _Shard:
    number: int
    given: Any
    tries: int = 0


@dataclass
class Crew:
    """The workers of one cluster, and what each was asked for; `ahead` shards wait at each."""

    cluster: Cluster
    ahead: int
    patience_seconds: float
    clock: Callable[[], float] = time.monotonic
    _starting: dict[Hashable, Hashable] = field(default_factory=dict)  # promise: worker
    _asked: dict[Hashable, dict[Hashable, _Shard]] = field(default_factory=dict)  # by worker
    _again: deque[_Shard] = field(default_factory=deque)
    _looked: float = float("-inf")
    _alone_since: float | None = None

    def answers(self, shards: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """(which shard, its answer) in the order that they come; raises Interrupted where workers
        stay away, or die of one shard, and what the work raises."""
        coming = (_Shard(number, given) for number, given in enumerate(shards))
        ahead = next(coming, None)
        try:
            while ahead is not None or self._again or self._under_way:
                self._hire()
                while (worker := self._free()) and (self._again or ahead is not None):
                    if self._again:
                        self._ask(worker, self._again.popleft())
                    elif ahead is not None:
                        self._ask(worker, ahead)
                        ahead = next(coming, None)
                yield from self._kept()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Dismiss everybody; what was under way is nobody's."""
        for worker in (*self._asked, *self._starting.values()):
            self.cluster.dismiss(worker)
        self._starting, self._asked, self._again = {}, {}, deque()
        self._looked = float("-inf")

    @property
    def _under_way(self) -> bool:
        return any(self._asked.values())

    def _hire(self) -> None:
        """As many as there is room for; at once after a loss, else looked at now and then."""
        now = self.clock()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            for _ in range(self.cluster.room() - len(self._asked) - len(self._starting)):
                worker, promise = self.cluster.hire()
                self._starting[promise] = worker
        if self._asked:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since > self.patience_seconds:
            raise Interrupted(
                f"no worker of the cluster was ready within {self.patience_seconds:g} s "
                "(compute.patience_seconds); see that its machines are up and have a free GPU or "
                "CPU, then run again to continue"
            )

    def _free(self) -> Hashable | None:
        worker = min(self._asked, key=lambda each: len(self._asked[each]), default=None)
        return None if worker is None or len(self._asked[worker]) > self.ahead else worker

    def _ask(self, worker: Hashable, shard: _Shard) -> None:
        self._asked[worker][self.cluster.ask(worker, shard.given)] = shard

    def _kept(self) -> Iterator[tuple[int, Any]]:
        """Wait for something, and take it."""
        owner = {promise: worker for worker, held in self._asked.items() for promise in held}
        for promise in self.cluster.wait([*owner, *self._starting], seconds=_LOOK_SECONDS):
            worker = owner.get(promise) or self._starting[promise]
            try:
                answer = self.cluster.result(promise)
            except WorkerLost as lost:
                self._lose(worker, promise, str(lost))
                return  # other promises of the same worker broke with it
            if promise in self._starting:
                self._asked[self._starting.pop(promise)] = {}
            else:
                yield self._asked[worker].pop(promise).number, answer

    def _lose(self, worker: Hashable, promise: Hashable, why: str) -> None:
        self._starting.pop(promise, None)
        held = list(self._asked.pop(worker, {}).values())
        self.cluster.dismiss(worker)
        self._looked = float("-inf")
        if not held:
            return
        held[0].tries += 1  # a worker does what it was asked first; the others only waited
        if held[0].tries == _TRIES:
            raise Interrupted(
                f"shard {held[0].number} ended {_TRIES} workers, one after another ({why}); give "
                "them more memory, then run again to continue"
            )
        self._again.extendleft(reversed(held))
