"""While a rollout is in its shadow stage, live queries are mirrored to its candidate."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from perennial.serving.answer import Answer
from perennial.serving.mirror import Mirror
from perennial.serving.mirrored import Keep
from perennial.serving.serving import Serving

_CAPACITY = 64  # queries; a mirror that is behind drops them


@dataclass(frozen=True)
class _Mirrored:
    release_id: str
    stable_id: str
    mirror: Mirror


class Shadowing:
    """One mirror at a time, of the candidate that shadows; for one event loop.

    What it compared is kept every `keep_seconds`, or sooner where much was.
    """

    def __init__(self, keep: Keep, *, keep_seconds: float) -> None:
        self._keep, self._keep_seconds = keep, keep_seconds
        self._current: _Mirrored | None = None

    def wants(self, serving: Serving) -> bool:
        """True where a candidate shadows, whose mirror then runs."""
        return self._follow(serving) is not None

    def offer(
        self, query: str, answer: Answer, *, request_id: str, k: int, slice: str | None
    ) -> None:
        """Let the candidate answer the query too; never waits."""
        current = self._current
        # Another release than the mirror asks again may have answered, a moment around a swap.
        if current is not None and answer.release_id == current.stable_id:
            current.mirror.offer(query, answer, request_id=request_id, k=k, slice=slice)

    def close(self) -> None:
        """Keep what was compared."""
        if self._current is not None:
            self._current.mirror.close()
        self._current = None

    def _follow(self, serving: Serving) -> _Mirrored | None:
        candidate, current = serving.candidate, self._current
        shadows = serving.rollout is not None and serving.rollout.stage == "shadow"
        wanted = (
            (candidate.release_id, serving.stable.release_id)
            if shadows and candidate is not None
            else None
        )
        held = None if current is None else (current.release_id, current.stable_id)
        if wanted == held:
            return current
        if current is not None:
            _aside(current.mirror.close)
            self._current = None
        if wanted is not None and candidate is not None:
            mirror = Mirror(
                candidate.search_many,
                release_id=candidate.release_id,
                capacity=_CAPACITY,
                keep=self._keep,
                again=serving.stable.search_many,
                seconds=self._keep_seconds,
            )
            self._current = _Mirrored(*wanted, mirror)
        return self._current


def _aside(close: Callable[[], None]) -> None:
    """Closing waits for the mirror's thread, which an answer must not."""
    threading.Thread(target=partial(close), name="perennial-mirror-close", daemon=True).start()
