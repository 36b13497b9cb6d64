"""One DVC stage of one workspace, and what its failure means."""

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from perennial.errors import PerennialError, PlaceUnusable
from perennial.workspace import Workspace
from tasks.command import MEANING, DeadlinePassed, run_command

PLACES = ("No space left on device", "Read-only file system", "Permission denied")
CHATTER = re.compile(
    r"Running stage |> |(Generating|Updating) lock file |Use `dvc push`|"
    r"Data and pipelines are up to date|ERROR: failed to reproduce "
)


class StageBroke(PerennialError):
    """A stage ended by a signal, its deadline or its surroundings: trying again may help."""


@dataclass(frozen=True)
class StageRun:
    """How one stage went: whether it ran or DVC had its outs, and its seconds on the wall."""

    stage: str
    ran: bool
    seconds: float


def repro(
    workspace: Workspace,
    stage: str,
    *,
    timeout_seconds: float,
    say: Callable[[str], None],
    on_tick: Callable[[], None] = lambda: None,
) -> StageRun:
    """Brings one stage up to date through DVC; raises what its exit code means, or StageBroke."""
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        if not CHATTER.match(line):
            say(line)

    began = time.monotonic()
    try:
        code = run_command(
            [sys.executable, "-m", "dvc", "repro", "--single-item", stage],
            directory=workspace.root,
            environment=stage_environment(os.environ),
            timeout_seconds=timeout_seconds,
            on_line=hear,
            on_tick=on_tick,
        )
    except DeadlinePassed:
        raise StageBroke(
            f"{stage} did not end within {timeout_seconds:g} s and was killed; "
            "start the flow again to continue, or give it more time."
        ) from None
    if code != 0:
        raise failure(stage, lines)
    ran = any(line.startswith("Running stage ") for line in lines)
    return StageRun(stage, ran, time.monotonic() - began)


def stage_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with this interpreter first on PATH: dvc.yaml says `python`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    return {**environment, "PATH": path, "PYTHONUNBUFFERED": "1"}


def failure(stage: str, lines: list[str]) -> PerennialError:
    """The exception that a failed stage's output stands for; its sentence is the stage's own."""
    report = next((line for line in reversed(lines) if "exited with" in line), "")
    said = [line for line in lines if not CHATTER.match(line)]
    start = next((i for i, line in enumerate(said) if line.startswith("perennial: ")), -1)
    sentence = "\n".join(said[start:]).removeprefix("perennial: ").removeprefix("ERROR: ")
    exited = re.search(r"exited with (-?\d+)$", report)
    crashed = any(line.startswith("Traceback (most recent call last)") for line in lines)
    if exited and not crashed and (kind := MEANING.get(int(exited[1]))):
        return kind(sentence or f"{stage} ended with exit code {exited[1]} and said nothing.")
    if any(place in line for line in lines for place in PLACES):
        return PlaceUnusable(
            f"{stage} could not write: {sentence or report}; make room or the folder writable, "
            "then start the flow again."
        )
    how = f"ended with exit code {exited[1]}" if exited else "could not be run by DVC"
    last = sentence or (lines[-1] if lines else "it said nothing")
    return StageBroke(f"{stage} {how}: {last}; start the flow again to continue.")
