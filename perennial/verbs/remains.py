"""What names a forgotten document outside of the store and the caches: the runs of retrains, which
froze tables of it and wrote judgements, triplets and pages; logs, and what else lies around."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from perennial.release.forgetting.traces import Traces
from perennial.release.stores.durable import usable
from perennial.workspace import Places, Workspace

_SHOWN = 5


@dataclass(frozen=True)
class Remains:
    """A run, or another folder below PERENNIAL_HOME: how many of its files hold it, the first of
    them, and the command that removes a run. A run that `is_over` is continued by nobody."""

    name: str
    kind: str  # "run" or "folder"
    files: int
    first: tuple[str, ...]
    is_over: bool
    command: str | None


def find_remains(places: Places, traces: Traces) -> tuple[Remains, ...]:
    """Read every byte of the runs, and of what else lies below PERENNIAL_HOME or in the source."""
    with usable(places.home):
        runs = [_of_run(folder, traces) for folder in _folders(places.runs)]
        others = [_of_folder(folder, traces, places) for folder in _others(places)]
    return tuple(each for each in (*runs, *others) if each.files)


def owe_nothing_of(remains: Iterable[Remains], runs: Path) -> None:
    """A push that such a run owes would bring to DVC's remote what was forgotten there."""
    for each in remains:
        if each.kind == "run":
            Workspace(runs / each.name).owed.unlink(missing_ok=True)


def show_remains(row: dict[str, Any], console: Console) -> None:
    """One of them, and the command that removes it; no terminal cuts that."""
    files = "1 file" if row["files"] == 1 else f"{row['files']:,} files"
    if row["kind"] == "run":
        state = "is over" if row["is_over"] else "has not ended: remove it, then retrain anew"
        said = f"[bold yellow]Run {row['name']} still holds it[/] in {files}; it {state}."
        console.print(f"{said}\n    {escape(row['command'])}", soft_wrap=True)
        return
    first = ", ".join(row["first"]) + (", …" if row["files"] > len(row["first"]) else "")
    said = f"[bold yellow]{escape(row['name'])} still names it[/] in {files}: {escape(first)}"
    console.print(said, soft_wrap=True)


def _of_run(folder: Path, traces: Traces) -> Remains:
    found = _found(folder, traces)
    return Remains(
        name=folder.name,
        kind="run",
        files=len(found),
        first=tuple(found[:_SHOWN]),
        is_over=Workspace(folder).is_over,
        command=f"rm -r {shlex.quote(str(folder))}",
    )


def _of_folder(folder: Path, traces: Traces, places: Places) -> Remains:
    # `forget` tells of the catalogue in words of its own: the next reindex would bring it back.
    told = str(places.source / "catalogue.parquet")
    found = [path for path in _found(folder, traces) if path != told]
    return Remains(str(folder), "folder", len(found), tuple(found[:_SHOWN]), False, None)


def _found(folder: Path, traces: Traces) -> list[str]:
    find, hits = traces.search(), []
    for path in _files(folder):
        try:
            if find(path):
                hits.append(str(path))
        except FileNotFoundError:
            pass  # of a run that is at work
        except OSError:
            hits.append(str(path))  # what cannot be looked into may hold it
    return hits


def _others(places: Places) -> list[Path]:
    """What is neither store nor cache, which are clean by now, nor the runs."""
    apart = {Path(places.store), places.cache, places.runs, places.source}
    below = [each for each in _entries(places.home) if each not in apart]
    return [*below, *([places.source] if places.source.exists() else [])]


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for path in sorted(place.rglob("*")) if place.is_dir() else ():
        if path.is_file():
            yield path


def _folders(place: Path) -> list[Path]:
    return [each for each in _entries(place) if each.is_dir()]


def _entries(place: Path) -> list[Path]:
    return sorted(place.iterdir()) if place.is_dir() else []
