"""Training's progress file, followed line by line into the tracker while training runs."""

import json
import time
from pathlib import Path
from typing import Any

from mlflow.entities import Metric

from tasks.tracking import tracker

NOT_CURVES = {"step", "epoch", "at"}


class CurveTail:
    """Logs the complete lines that were appended since the last call, in one batch.

    How far it came is kept beside the file, so that a continued run logs no line twice.
    """

    def __init__(self, uri: str, run_id: str, progress: Path) -> None:
        self._uri, self._run_id, self._progress = uri, run_id, progress
        self._mark = progress.with_suffix(f".{run_id}.offset")

    def __call__(self) -> None:
        if not self._progress.exists():
            return
        offset = int(self._mark.read_text()) if self._mark.exists() else 0
        with self._progress.open("rb") as stream:
            if stream.seek(0, 2) < offset:  # training began anew
                offset = 0
            stream.seek(offset)
            new = stream.read()
        new = new[: new.rfind(b"\n") + 1]
        if not new:
            return
        rows = [json.loads(line) for line in new.splitlines() if line.strip()]
        metrics = [metric for row in rows for metric in _metrics(row)]
        if metrics:
            tracker(self._uri).log_batch(self._run_id, metrics=metrics[-1000:])
        self._mark.write_text(str(offset + len(new)))


def _metrics(row: dict[str, Any]) -> list[Metric]:
    now, step = int(time.time() * 1000), int(row.get("step", 0))
    return [
        Metric("train/" + key.replace("@", "_at_"), float(value), now, step)
        for key, value in row.items()
        if key not in NOT_CURVES and isinstance(value, int | float) and not isinstance(value, bool)
    ]
