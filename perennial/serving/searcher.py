"""The searcher: serves a channel's stable release and follows it, without a gap, when it moves."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from perennial.errors import BadInput, PerennialError
from perennial.release.channel import check_channel
from perennial.release.store import Store
from perennial.serving.loaded import Answer, LoadedRelease, load_release

# A damaged release would otherwise be fetched again at every poll.
_LONGEST_WAIT_SECONDS = 60.0
_log = logging.getLogger(__name__)


class Searcher:
    """Safe for many threads: a query takes the release once and keeps it until it is answered.

    The thread that finds the poll due brings in the new release; the others go on with the old.
    """

    def __init__(
        self,
        store: Store,
        channel: str,
        cache: Path,
        *,
        poll_seconds: float,
        key: bytes | None,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._channel, self._cache, self._key = store, channel, cache, key
        self._poll_seconds, self._clock = poll_seconds, clock
        self._refreshing = threading.Lock()
        self._loaded = load_release(store, self._stable(), cache, key=key)
        self._poll_at = clock() + poll_seconds
        self._failures = 0
        self._problem: str | None = None

    @classmethod
    def open(
        cls,
        store: Store,
        channel: str = "production",
        cache: Path = Path("state/cache/releases"),
        poll_seconds: float = 1.0,
        key: bytes | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Searcher":
        """The searcher of a channel; raises BadInput where it serves nothing, or IntegrityError.

        `poll_seconds=math.inf` leaves it to the caller to `refresh`.
        """
        if math.isnan(poll_seconds) or poll_seconds < 0:
            raise BadInput(f"poll_seconds is {poll_seconds}; give zero or more")
        return cls(store, channel, cache, poll_seconds=poll_seconds, key=key, clock=clock)

    @property
    def release(self) -> LoadedRelease:
        """The release that the next query would be answered by."""
        return self._loaded

    @property
    def problem(self) -> str | None:
        """Why the last look at the store failed; None where it did not."""
        return self._problem

    def search(self, query: str, k: int = 10) -> Answer:
        """The k nearest documents; raises BadInput for a query without text."""
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Answer]:
        """The answers to all queries, from one and the same release."""
        if self._clock() >= self._poll_at:
            self._poll()
        return self._loaded.search_many(queries, k)

    def refresh(self) -> bool:
        """Look at the channel now: True where a new release came in; whatever keeps it out leaves
        the old one serving, is tried ever more rarely, and stands in `problem`."""
        with self._refreshing:
            return self._follow()

    def _poll(self) -> None:
        if self._refreshing.acquire(blocking=False):
            try:
                self._follow()
            finally:
                self._refreshing.release()

    def _follow(self) -> bool:
        try:
            stable = self._stable()
            moved = stable != self._loaded.release_id
            if moved:
                self._loaded = load_release(self._store, stable, self._cache, key=self._key)
            self._failures, self._problem = 0, None
        # Whatever the store holds and whichever library trips over it, a query must not pay for it:
        # a searcher that could answer goes on answering.
        except Exception as error:  # noqa: BLE001
            unforeseen = "" if isinstance(error, PerennialError) else f"{type(error).__name__}: "
            problem = f"{unforeseen}{error}"
            if self._problem != problem:
                _log.warning("keeping %s: %s", self._loaded.release_id, problem)
            self._failures, self._problem, moved = self._failures + 1, problem, False
        wait = self._poll_seconds * 2 ** min(self._failures, 16)
        self._poll_at = self._clock() + min(wait, max(_LONGEST_WAIT_SECONDS, self._poll_seconds))
        return moved

    def _stable(self) -> str:
        channel = self._store.read_channel(self._channel)
        if channel is None:
            raise BadInput(
                f"channel {self._channel} serves nothing yet; run `perennial bootstrap` first"
            )
        return check_channel(channel, self._key).stable
