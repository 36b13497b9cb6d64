"""The searcher: serves a channel's releases and follows them, without a gap, when they move."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from perennial.errors import BadInput
from perennial.release.caching.cache import Fetching, ReleaseCache, unseen
from perennial.release.stores.store import Store
from perennial.serving.answer import Answer
from perennial.serving.follower import Follower
from perennial.serving.loaded import LoadedRelease
from perennial.serving.polling import Poller
from perennial.serving.routing import Arm
from perennial.serving.runtime import check_runtime
from perennial.serving.serving import Serving
from perennial.serving.source import Source

_CLOSING_SECONDS = 2.0


class Searcher:
    """Safe for many threads: a query takes the release once and keeps it until it is answered.

    A thread of its own looks at the channel, loads a new release entirely beside the old one, and
    swaps them by one assignment.
    """

    def __init__(self, follower: Follower, *, poll_seconds: float, asked: deque[str]) -> None:
        self._follower, self._asked = follower, asked
        self._poller = (
            None if math.isinf(poll_seconds) else Poller(follower.look, seconds=poll_seconds)
        )

    @classmethod
    def open(
        cls,
        store: Store,
        channel: str = "production",
        cache: Path = Path("state/cache"),
        poll_seconds: float = 0.5,
        key: bytes | None = None,
        *,
        mmap: bool = False,
        runtime: str = "torch",
        fuse: bool = False,
        progress: Fetching = unseen,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Searcher":
        """The searcher of a channel; raises BadInput where it serves nothing, or IntegrityError.

        Where the store is away it serves what the channel served last, if that is in the cache
        whole. `poll_seconds=math.inf` leaves it to the caller to `refresh`. With `mmap` the vectors
        stay on disk, and the memory is the operating system's to give and take. With the runtime
        `onnx` a transformer's queries need no torch: the release must have its graph. With `fuse`
        vectors and words decide together about every query, where the release has words.
        """
        if math.isnan(poll_seconds) or poll_seconds < 0:
            raise BadInput(f"poll_seconds is {poll_seconds}; give zero or more")
        asked: deque[str] = deque(maxlen=4)
        source = Source(
            store, channel, ReleaseCache(cache), key, mmap, progress, check_runtime(runtime), fuse
        )
        follower = Follower(source, poll_seconds=poll_seconds, asked=asked, clock=clock)
        return cls(follower, poll_seconds=poll_seconds, asked=asked)

    @property
    def release(self) -> LoadedRelease:
        """The release that the next query would be answered by; raises BadInput once closed."""
        return self._follower.serving.stable

    @property
    def problem(self) -> str | None:
        """Why the store or its newest release cannot be followed; None where it is."""
        return self._follower.problem

    def search(self, query: str, k: int = 10, *, slice: str | None = None) -> Answer:
        """The k nearest documents, of one slice where it is given; raises BadInput without text."""
        return self.search_many([query], k, slice=slice)[0]

    @property
    def serving(self) -> Serving:
        """What answers now: stable and, during a rollout, its candidate; BadInput once closed."""
        return self._follower.serving

    def search_many(
        self, queries: Sequence[str], k: int = 10, *, slice: str | None = None, arm: Arm = "stable"
    ) -> list[Answer]:
        """The answers to all queries, from one and the same release: the arm's."""
        return self.take(arm, asked=queries).search_many(queries, k, slice=slice)

    def take(self, arm: Arm, *, asked: Sequence[str]) -> LoadedRelease:
        """The release that the arm's queries are about to be answered by; stable where the channel
        has no candidate, or none that could be loaded. The next release is tried with the first
        of `asked`."""
        self._asked.extend(asked[:1])
        return self._follower.serving.of(arm)

    def refresh(self) -> bool:
        """Look at the channel now: True where a new release came in; whatever keeps it out leaves
        the old one serving, is tried ever more rarely, and stands in `problem`."""
        return self._follower.refresh()

    def close(self) -> None:
        """End the thread and let go of the release; queries under way are still answered.

        What is being fetched ends at its next block, and is gone on with by the next process.
        """
        self._follower.stop()
        if self._poller is not None:
            self._poller.close(timeout_seconds=_CLOSING_SECONDS)
        self._follower.close()

    @property
    def is_looking(self) -> bool:
        """True until its thread has ended; after `close` only where a store answers no more."""
        return self._poller is not None and self._poller.is_running

    def __enter__(self) -> "Searcher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
