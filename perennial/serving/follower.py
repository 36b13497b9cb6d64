"""Follows a channel: one whole release after the other, each entirely loaded before it serves."""

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import replace

from perennial.errors import BadInput, PerennialError
from perennial.release.channels.channel import Channel
from perennial.serving.loaded import LoadedRelease
from perennial.serving.memory import give_back, let_go
from perennial.serving.polling import wait_seconds
from perennial.serving.refusals import Refusals
from perennial.serving.serving import Serving
from perennial.serving.source import Source
from perennial.serving.stopping import Stop

_LAST_QUERY_SECONDS = 2.0
_RECHECK_SECONDS = 60.0
_MUCH_BYTES = 1 << 24
_log = logging.getLogger(__name__)


class Follower:
    """Holds what serves; `look` is for its own thread, `refresh` for anybody's."""

    def __init__(
        self,
        source: Source,
        *,
        poll_seconds: float,
        asked: Collection[str],
        clock: Callable[[], float],
    ) -> None:
        self._stop = Stop()
        self._source = replace(source, progress=self._stop.within(source.progress))
        self._asked = asked
        self._poll_seconds, self._clock = poll_seconds, clock
        self._swapping = threading.Lock()
        self._unreachable = 0  # looks at the channel that failed, one after the other
        self._stable_refusals = Refusals(poll_seconds=poll_seconds, clock=clock)
        self._candidate_refusals = Refusals(poll_seconds=poll_seconds, clock=clock)
        self._recheck_at = clock() + _RECHECK_SECONDS
        self._problems: dict[str, str] = {}
        self._serving: Serving | None = self._first()

    @property
    def serving(self) -> Serving:
        """What serves; raises BadInput once it is closed."""
        serving = self._serving
        if serving is None:
            raise BadInput("the searcher is closed; open another one")
        return serving

    @property
    def problem(self) -> str | None:
        """Why the channel, its stable release or its candidate cannot be followed."""
        return next(iter(list(self._problems.values())), None)

    def look(self) -> float:
        """Follow the channel where it is time to: the seconds until the next look."""
        self._look(patient=True)
        return wait_seconds(self._poll_seconds, self._unreachable)

    def refresh(self) -> bool:
        """Follow the channel now: True where another release, or another mask, came in."""
        return self._look(patient=False)

    def stop(self) -> None:
        """End what is being fetched at its next block; nothing new comes in any more."""
        self._stop.ask()

    def close(self) -> None:
        """Let go of the releases; where a look is under way, it does so when it ends."""
        self.stop()
        if self._swapping.acquire(blocking=False):
            self._serving = None
            self._swapping.release()
        give_back()

    def _first(self) -> Serving:
        try:
            channel = self._source.channel()
            release = self._source.load(channel, beside=None, asked=())
        except Exception as error:
            last = self._source.last_served()
            if last is None:
                raise
            self._tell("stable", error, serving=last)
            return Serving(last)
        give_back()  # what reading it took for a moment
        self._source.tidy(channel, previous=release.release_id)
        self._serving = Serving(release)
        self._follow_candidate(channel, patient=False)
        return self._serving

    def _look(self, *, patient: bool) -> bool:
        with self._swapping:
            moved = self._follow(patient=patient)
            if self._stop.is_asked:
                self._serving = None
            return moved

    def _follow(self, *, patient: bool) -> bool:
        if self._serving is None or self._stop.is_asked:
            return False
        # Whatever the store holds and whichever library trips over it, a query must not pay for it:
        # a searcher that could answer goes on answering.
        try:
            channel = self._source.channel()
            self._unreachable = 0
            self._problems.pop("channel", None)
        except Exception as error:  # noqa: BLE001
            self._unreachable += 1
            self._tell("channel", error, serving=self._serving.stable)
            return False
        moved = self._follow_stable(channel, patient=patient)
        return self._follow_candidate(channel, patient=patient) or moved

    def _follow_stable(self, channel: Channel, *, patient: bool) -> bool:
        serving = self.serving
        old, candidate = serving.stable, serving.candidate
        wanted = channel.stable, channel.mask.digest if channel.mask else None
        if wanted == (old.release_id, old.mask):
            self._problems.pop("stable", None)
            self._stable_refusals.forget()
            if self._clock() >= self._recheck_at:
                self._recheck_at = self._clock() + _RECHECK_SECONDS
                self._source.drop_gone(channel)
            return False
        # Only this release waits: what the channel names next is looked at as soon as ever.
        if patient and self._stable_refusals.waits(wanted):
            return False
        is_promoted = candidate is not None and candidate.release_id == channel.stable
        beside = candidate if is_promoted else old
        try:
            new = self._source.load(channel, beside=beside, asked=tuple(self._asked))
        except Exception as error:  # noqa: BLE001
            if self._stop.is_asked:
                return False
            self._stable_refusals.refuse(wanted)
            self._tell("stable", error, serving=old)
            return False
        self._serving = replace(serving, stable=new)
        self._problems.pop("stable", None)
        self._stable_refusals.forget()
        held = [old]
        del old, beside, candidate, serving
        self._retire(held, channel, new, timeout_seconds=_LAST_QUERY_SECONDS if patient else 0)
        return True

    def _follow_candidate(self, channel: Channel, *, patient: bool) -> bool:
        """The candidate of the channel, or none; one that cannot be loaded leaves all to stable."""
        serving = self.serving
        old, stable, rollout = serving.candidate, serving.stable, channel.candidate
        if rollout is None:
            self._problems.pop("candidate", None)
            self._serving = Serving(stable)
            return old is not None
        wanted = rollout.release_id, channel.mask.digest if channel.mask else None
        if old is not None and old.release_id == rollout.release_id:
            if serving.rollout != rollout:
                self._serving = Serving(stable, old, rollout)
            return False
        if patient and self._candidate_refusals.waits(wanted):
            return False
        beside = old or stable
        try:
            new = self._source.load_candidate(channel, beside=beside, asked=tuple(self._asked))
        except Exception as error:  # noqa: BLE001
            if self._stop.is_asked:
                return False
            self._serving = Serving(stable, None, rollout)
            self._candidate_refusals.refuse(wanted)
            self._tell("candidate", error, serving=stable)
            return False
        self._serving = Serving(stable, new, rollout)
        self._problems.pop("candidate", None)
        self._candidate_refusals.forget()
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

    def _tell(self, what: str, error: Exception, *, serving: LoadedRelease) -> None:
        unforeseen = "" if isinstance(error, PerennialError) else f"{type(error).__name__}: "
        problem = f"{unforeseen}{error}"
        if self._problems.get(what) != problem:
            _log.warning("keeping %s: %s", serving.release_id, problem)
        self._problems[what] = problem


def _bytes_apart(old: LoadedRelease, new: LoadedRelease) -> int:
    """Of all that only one of them has: freed with the old one, or passed through for the new."""
    there, here = old.manifest.objects(), new.manifest.objects()
    return sum((there | here)[digest] for digest in there.keys() ^ here.keys())
