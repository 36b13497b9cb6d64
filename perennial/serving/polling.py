"""Looking again and again on a thread of its own, ever more rarely where it fails."""

import math
import threading
import weakref
from collections.abc import Callable

from perennial.serving.priority import step_back

_LONGEST_WAIT_SECONDS = 60.0


def wait_seconds(poll_seconds: float, failures: int) -> float:
    """The wait after so many failures in a row: doubled for each, a minute at most."""
    doubled = math.ldexp(poll_seconds, min(failures, 16))
    return min(doubled, max(_LONGEST_WAIT_SECONDS, poll_seconds))


class Poller:
    """Calls `look`, a method, after the wait that it returned last, on a daemon thread.

    It does not keep the method's object alive, and ends with it.
    """

    def __init__(self, look: Callable[[], float], *, seconds: float) -> None:
        method = weakref.WeakMethod(look)
        self._stopped = threading.Event()
        arguments = (method, self._stopped, seconds)
        self._thread = threading.Thread(
            target=_poll, args=arguments, name="perennial-searcher", daemon=True
        )
        owner = look.__self__  # type: ignore[attr-defined]
        weakref.finalize(owner, self._stopped.set).atexit = False
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """True until its last look is done."""
        return self._thread.is_alive()

    def close(self, *, timeout_seconds: float) -> None:
        """Stop, and wait until a look that is under way is done, or for so long."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_seconds)


def _poll(
    method: "weakref.WeakMethod[Callable[[], float]]", stopped: threading.Event, seconds: float
) -> None:
    step_back()
    while not stopped.wait(seconds):
        look = method()
        if look is None:
            return
        seconds = look()
        del look
