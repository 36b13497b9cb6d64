"""Follows a channel: one whole release after the other, each entirely loaded before it serves."""

import logging
import math
import threading
from collections.abc import Callable, Collection

from perennial.errors import BadInput, PerennialError
from perennial.release.channels.channel import Channel
from perennial.serving.loaded import LoadedRelease
from perennial.serving.memory import give_back, let_go
from perennial.serving.polling import wait_seconds
from perennial.serving.source import Source

_LAST_QUERY_SECONDS = 2.0
_RECHECK_SECONDS = 60.0
_MUCH_BYTES = 1 << 24
_log = logging.getLogger(__name__)
_Wanted = tuple[str, str | None]


class Follower:
    """Holds the release that serves; `look` is for its own thread, `refresh` for anybody's."""

    def __init__(
        self,
        source: Source,
        *,
        poll_seconds: float,
        asked: Collection[str],
        clock: Callable[[], float],
    ) -> None:
        self._source, self._asked = source, asked
        self._poll_seconds, self._clock = poll_seconds, clock
        self._swapping = threading.Lock()
        self._unreachable = 0  # looks at the channel that failed, one after the other
        self._refused: _Wanted | None = None
        self._refusals, self._retry_at = 0, -math.inf
        self._recheck_at = clock() + _RECHECK_SECONDS
        self.problem: str | None = None
        self._release: LoadedRelease | None = self._first()

    @property
    def release(self) -> LoadedRelease:
        """The release that serves; raises BadInput once it is closed."""
        release = self._release
        if release is None:
            raise BadInput("the searcher is closed; open another one")
        return release

    def look(self) -> float:
        """Follow the channel where it is time to: the seconds until the next look."""
        with self._swapping:
            self._follow(patient=True)
            return wait_seconds(self._poll_seconds, self._unreachable)

    def refresh(self) -> bool:
        """Follow the channel now: True where another release, or another mask, came in."""
        with self._swapping:
            return self._follow(patient=False)

    def close(self) -> None:
        """Let go of the release."""
        with self._swapping:
            self._release = None
        give_back()

    def _first(self) -> LoadedRelease:
        try:
            channel = self._source.channel()
            release = self._source.load(channel, beside=None, asked=())
        except Exception as error:
            last = self._source.last_served()
            if last is None:
                raise
            self._tell(error, serving=last)
            return last
        give_back()  # what reading it took for a moment
        self._source.tidy(channel, previous=release.release_id)
        return release

    def _follow(self, *, patient: bool) -> bool:
        old = self._release
        if old is None:
            return False
        # Whatever the store holds and whichever library trips over it, a query must not pay for it:
        # a searcher that could answer goes on answering.
        try:
            channel = self._source.channel()
            self._unreachable = 0
        except Exception as error:  # noqa: BLE001
            self._unreachable += 1
            self._tell(error, serving=old)
            return False
        wanted = channel.stable, channel.mask.digest if channel.mask else None
        if wanted == (old.release_id, old.mask):
            self.problem, self._refused = None, None
            if self._clock() >= self._recheck_at:
                self._recheck_at = self._clock() + _RECHECK_SECONDS
                self._source.drop_gone(channel)
            return False
        # Only this release waits: what the channel names next is looked at as soon as ever.
        if patient and wanted == self._refused and self._clock() < self._retry_at:
            return False
        try:
            new = self._source.load(channel, beside=old, asked=tuple(self._asked))
        except Exception as error:  # noqa: BLE001
            self._refuse(wanted, error, serving=old)
            return False
        self._release, self.problem, self._refused = new, None, None
        held = [old]
        del old
        self._retire(held, channel, new, timeout_seconds=_LAST_QUERY_SECONDS if patient else 0)
        return True

    def _retire(
        self,
        held: list[LoadedRelease],
        channel: Channel,
        new: LoadedRelease,
        *,
        timeout_seconds: float,
    ) -> None:
        """Free the old release after its last query; whoever still has one then frees it later."""
        previous, much = held[0].release_id, _bytes_apart(held[0], new) > _MUCH_BYTES
        if let_go(held, timeout_seconds=timeout_seconds) and much:
            give_back()
        self._source.tidy(channel, previous=previous)

    def _refuse(self, wanted: _Wanted, error: Exception, *, serving: LoadedRelease) -> None:
        self._refusals = self._refusals + 1 if wanted == self._refused else 1
        self._refused = wanted
        self._retry_at = self._clock() + wait_seconds(self._poll_seconds, self._refusals)
        self._tell(error, serving=serving)

    def _tell(self, error: Exception, *, serving: LoadedRelease) -> None:
        unforeseen = "" if isinstance(error, PerennialError) else f"{type(error).__name__}: "
        problem = f"{unforeseen}{error}"
        if self.problem != problem:
            _log.warning("keeping %s: %s", serving.release_id, problem)
        self.problem = problem


def _bytes_apart(old: LoadedRelease, new: LoadedRelease) -> int:
    """Of all that only one of them has: freed with the old one, or passed through for the new."""
    there, here = old.manifest.objects(), new.manifest.objects()
    return sum((there | here)[digest] for digest in there.keys() ^ here.keys())
