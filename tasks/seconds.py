"""Where the time of a run goes: seconds on the wall per step, and how many the rooms worked."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.workspace import Workspace
from tasks.notes import write_json


def forget_seconds(workspace: Workspace, *, keep: str) -> None:
    """Removes what an earlier run of this workspace measured, but for the step `keep`."""
    for path in workspace.root.glob("work/*/seconds.json"):
        if path.parent.name != keep:
            path.unlink()


@contextmanager
def wall(workspace: Workspace, step: str) -> Iterator[None]:
    """Adds the wall seconds of its body to the step's."""
    began = time.monotonic()
    try:
        yield
    finally:
        _add(workspace, step, "wall", time.monotonic() - began)


@contextmanager
def rooms(workspace: Workspace, step: str) -> Iterator[None]:
    """Says that its body is the rooms' own work: what is not, is orchestration."""
    began = time.monotonic()
    try:
        yield
    finally:
        _add(workspace, step, "rooms", time.monotonic() - began)


def seconds_of(workspace: Workspace) -> dict[str, dict[str, float]]:
    """{step: {wall, rooms}} of every step that ran."""
    return {
        path.parent.name: {"wall": 0.0, "rooms": 0.0, **_read(path)}
        for path in sorted(workspace.root.glob("work/*/seconds.json"))
    }


def add_wall(workspace: Workspace, step: str, seconds: float) -> None:
    """For a step that began before its workspace was there."""
    _add(workspace, step, "wall", seconds)


def add_rooms(workspace: Workspace, step: str, seconds: float) -> None:
    """The same, of the rooms' work."""
    _add(workspace, step, "rooms", seconds)


def _add(workspace: Workspace, step: str, kind: str, seconds: float) -> None:
    path = workspace.work(step) / "seconds.json"
    measured = _read(path)
    measured[kind] = round(measured.get(kind, 0.0) + seconds, 3)
    write_json(path, measured)


def _read(path: Path) -> dict[str, float]:
    return dict(json.loads(path.read_text())) if path.exists() else {}
