"""Ending what is being fetched: at its next block, and not only when it is all there."""

import threading

from perennial.release.caching.cache import Fetching


class Stopped(Exception):
    """What was being fetched is not wanted any more."""


class Stop:
    """Asked for once, from any thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Nothing more is to be fetched."""
        self._asked.set()

    @property
    def is_asked(self) -> bool:
        """True from then on."""
        return self._asked.is_set()

    def within(self, progress: Fetching) -> Fetching:
        """The same progress, which raises Stopped once it is asked for."""

        def fetching(done: int, total: int) -> None:
            if self.is_asked:
                raise Stopped
            progress(done, total)

        return fetching
