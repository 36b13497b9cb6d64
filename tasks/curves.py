"""Training's progress file, followed line by line into the tracker while training runs."""

import json
import time
from pathlib import Path
from typing import Any

from mlflow.entities import Metric

from tasks.notes import write_note
from tasks.tracking import MAX_METRICS, tracker

NOT_CURVES = {"step", "total"}


class CurveTail:
    """Logs the steps that were appended since the last call, in one batch.

    A continued training begins its file anew at a checkpoint: the last step that was logged is
    kept beside it, so that no step is logged twice.
    """

    def __init__(self, uri: str, run_id: str, progress: Path) -> None:
        self._uri, self._run_id, self._progress = uri, run_id, progress
        self._mark = progress.with_name(f"tracked-{run_id}")
        self._last = int(self._mark.read_text()) if self._mark.exists() else -1
        self._offset = 0

    def __call__(self) -> None:
        rows = [row for row in self._new_rows() if int(row["step"]) > self._last]
        if not rows:
            return
        metrics = [metric for row in rows for metric in _metrics(row)]
        for start in range(0, len(metrics), MAX_METRICS):
            batch = metrics[start : start + MAX_METRICS]
            tracker(self._uri).log_batch(self._run_id, metrics=batch)
        self._last = int(rows[-1]["step"])
        write_note(self._mark, str(self._last))

    def _new_rows(self) -> list[dict[str, Any]]:
        if not self._progress.exists():
            return []
        with self._progress.open("rb") as stream:
            if stream.seek(0, 2) < self._offset:
                self._offset = 0
            stream.seek(self._offset)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]  # the last line may be half written
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.strip()]


def _metrics(row: dict[str, Any]) -> list[Metric]:
    now, step = int(time.time() * 1000), int(row.get("step", 0))
    return [
        Metric("train/" + key.replace("@", "_at_"), float(value), now, step)
        for key, value in row.items()
        if key not in NOT_CURVES and isinstance(value, int | float) and not isinstance(value, bool)
    ]
