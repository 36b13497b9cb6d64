"""What training says while it runs: the progress file, a bar, and the curve when it is done."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from perennial.model.health import Spread
from perennial.model.history import Pace, Step, Trained


def write_curve(path: Path, trained: Trained) -> None:
    """One row per step, for `dvc plots show` and the report."""
    frame = pd.DataFrame([_flat(step) for step in trained.history])
    frame.to_csv(path, index=False, float_format="%.8g", lineterminator="\n")


def _flat(step: Step) -> dict[str, Any]:
    """A step as one row, the spread's numbers among the others; None where nobody looked."""
    row = asdict(step)
    seen = row.pop("spread")
    return row | (seen or dict.fromkeys(f.name for f in fields(Spread)))


def reporter(stream: TextIO, *, is_heard: bool) -> Callable[[Step, int, Pace | None], None]:
    """Append each step to the progress file; and, if it `is_heard`, draw a bar where one looks."""

    def report(step: Step, total: int, pace: Pace | None) -> None:
        row = {**_flat(step), **(asdict(pace) if pace else {}), "total": total}
        stream.write(json.dumps(row) + "\n")
        stream.flush()
        if is_heard and (sys.stderr.isatty() or step.validation is not None):
            done = "#" * (24 * (step.step + 1) // total)
            shown = "" if step.validation is None else f"  validation MRR@10 {step.validation:.4f}"
            print(
                f"train [{done:<24}] step {step.step + 1}/{total}  loss {step.loss:.4f}{shown}",
                file=sys.stderr,
                end="\n" if step.validation is not None or not sys.stderr.isatty() else "\r",
                flush=True,
            )

    return report
