"""One stage on several processes of this machine: the first starts the others, and ends with them.

PERENNIAL_PROCESSES says how many. Across machines, start the same stage with torchrun instead; the
processes then find each other by its variables, and nothing here is used.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.errors import BadInput

_END_SECONDS = 20.0


@contextmanager
def followers(module: str, work: Path) -> Iterator[None]:
    """Run `python -m module` as often as is missing, while the body runs as the first of all.

    Raises BadInput where PERENNIAL_PROCESSES is no number of processes.
    """
    asked = os.environ.get("PERENNIAL_PROCESSES", "1")
    if not asked.isdecimal() or int(asked) < 1:
        raise BadInput(f"PERENNIAL_PROCESSES is {asked!r}; set it to a number from 1 on")
    count = int(asked)
    if count == 1 or "WORLD_SIZE" in os.environ:
        yield
        return
    meeting = work / "meeting"
    meeting.unlink(missing_ok=True)  # of a run that was killed
    shared = {
        "WORLD_SIZE": str(count),
        "PERENNIAL_MEETING": str(meeting.absolute()),
        "GLOO_SOCKET_IFNAME": "lo",  # they speak to each other and to nobody else
    }
    before = dict(os.environ)
    os.environ.update(shared, RANK="0")
    others = [
        subprocess.Popen([sys.executable, "-m", module], env={**os.environ, "RANK": str(rank)})
        for rank in range(1, count)
    ]
    try:
        yield
    finally:
        for name in (*shared, "RANK"):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]
        _end(others)
        meeting.unlink(missing_ok=True)


def is_follower() -> bool:
    """Whether somebody else is the first."""
    return os.environ.get("RANK", "0") != "0"


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM came since: a machine that is taken away says so first."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(others: list[subprocess.Popen[bytes]]) -> None:
    """Wait for those that end by themselves, now that the first has; kill the others."""
    for other in others:
        try:
            other.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            other.kill()
            other.wait()
