"""Runs a command to its end or its deadline, in a process group of its own; relays its lines."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from perennial.errors import BadInput, IntegrityError, PerennialError, Refused
from tasks import guard

GRACE_SECONDS = 5.0
TICK_SECONDS = 0.5
# What the exit codes of our own commands stand for (perennial/errors.py).
MEANING: dict[int, type[PerennialError]] = {1: Refused, 2: BadInput, 3: IntegrityError}


class DeadlinePassed(Exception):
    """The command ran past its deadline; its process group is dead."""


def run_command(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    timeout_seconds: float,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None],
) -> int:
    """The command's exit code; every line of its output goes to `on_line`, and `on_tick` is called
    twice a second and once at the end. Raises DeadlinePassed."""
    process = subprocess.Popen(
        [sys.executable, "-I", guard.__file__, *command],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdin is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    deadline = time.monotonic() + timeout_seconds
    ticked = time.monotonic()
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                line = lines.get(timeout=TICK_SECONDS)
                if line is None:
                    return process.wait()
                on_line(line)
            if time.monotonic() - ticked >= TICK_SECONDS:
                on_tick()
                ticked = time.monotonic()
        raise DeadlinePassed
    finally:
        _end(process)
        process.stdin.close()
        reader.join(GRACE_SECONDS)
        process.stdout.close()
        on_tick()


def _read(stream: IO[bytes], lines: "queue.SimpleQueue[str | None]") -> None:
    for raw in stream:
        # A progress bar redraws itself after carriage returns: its last state is the line.
        text = raw.decode("utf-8", "replace").rstrip().rsplit("\r", 1)[-1].rstrip()
        if text:
            lines.put(text)
    lines.put(None)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks the whole group to end, then makes what is left of it."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
