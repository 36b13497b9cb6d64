"""Runs a verb of the `perennial` command as a person would: in a process of its own."""

import os
import sys
import time
from pathlib import Path

from perennial.errors import Refused
from tasks.command import MEANING, DeadlinePassed, run_command
from tasks.screen import Screen

LIMIT_SECONDS = 3600.0


def run_verb(screen: Screen, *arguments: str, checkout: Path) -> float:
    """Its seconds on the wall; raises what its exit code means, with its own sentence."""
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        screen.now(f"{arguments[0]}: {line}")

    began = time.monotonic()
    with screen.busy(f"perennial {' '.join(arguments)}"):
        try:
            code = run_command(
                [sys.executable, "-m", "perennial.cli", *arguments],
                directory=checkout,
                environment=os.environ,
                timeout_seconds=LIMIT_SECONDS,
                on_line=hear,
                on_tick=lambda: None,
            )
        except DeadlinePassed:
            raise Refused(f"perennial {' '.join(arguments)} took over an hour; ended.") from None
    seconds, last = time.monotonic() - began, said[-1] if said else ""
    if code != 0:
        kind = MEANING.get(code, Refused)
        raise kind(
            last.removeprefix("perennial: ") or f"{arguments[0]} ended with exit code {code}"
        )
    screen.done(arguments[0], seconds, last)
    return seconds
