"""The shell around a stage: parameters in, artefacts out, one sentence for a failure."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perennial.errors import PerennialError, PlaceUnusable
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.workspace import Workspace

Stage = Callable[[Workspace, Params], None]


def main(stage: str, run: Stage) -> None:
    """Run a stage in the current folder and exit as errors.py says."""
    try:
        run_stage(stage, run, Workspace(Path.cwd()))
    except PerennialError as error:
        print(f"perennial: {stage}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def run_stage(stage: str, run: Stage, workspace: Workspace) -> None:
    """Run one stage; a place that cannot be written becomes PlaceUnusable.

    `seconds.json` tells how long the rooms worked: what the process took beyond that is overhead.
    """
    started = time.perf_counter()
    params = load_params(workspace.params)
    try:
        fresh(workspace.artifacts(stage))
        run(workspace, params)
        seconds = time.perf_counter() - started
        write_json(workspace.work(stage) / "seconds.json", {"rooms": round(seconds, 3)})
    except OSError as error:
        # pyarrow's strerror is a sentence of its own that names no file
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise PlaceUnusable(
            f"cannot use {error.filename or workspace.root}: {reason}; make it writable, free some "
            "space, and run again to continue"
        ) from error


def fresh(folder: Path) -> None:
    """Make an empty folder, as DVC would: what a killed run left there does not count."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value with sorted keys and a newline at the end: same value, same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
