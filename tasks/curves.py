"""Training's progress file, followed line by line into the tracker while training runs."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.entities import Metric

from tasks.notes import write_note
from tasks.tracking import tracker
from tasks.world import TRACKER_ERRORS, without_password

NOT_CURVES = {"step", "total"}
ROWS = 100  # of one batch, which takes a thousand numbers


class CurveTail:
    """Logs the steps that were appended since the last call, in one batch.

    A continued training begins its file anew at a checkpoint: the last step that was logged is
    kept beside it, so that no step is logged twice. A tracker that does not answer must not end a
    training of hours: its steps wait for the next call.
    """

    def __init__(
        self, uri: str, run_id: str, progress: Path, *, warn: Callable[[str], None]
    ) -> None:
        self._uri, self._run_id, self._progress, self._warn = uri, run_id, progress, warn
        self._mark = progress.with_name(f"tracked-{run_id}")
        self._last = int(self._mark.read_text()) if self._mark.exists() else -1
        self._offset = 0
        self._warned = False

    def __call__(self) -> None:
        rows, read_to = self._new_rows()
        try:
            self._log([row for row in rows if int(row["step"]) > self._last])
        except TRACKER_ERRORS as error:
            said = without_password(str(error))
            if not self._warned:
                self._warn(f"the curves wait for the tracker, which does not answer: {said}")
            self._warned = True
        else:
            self._offset = read_to

    def _log(self, rows: list[dict[str, Any]]) -> None:
        for start in range(0, len(rows), ROWS):
            batch = rows[start : start + ROWS]
            metrics = [metric for row in batch for metric in _metrics(row)]
            tracker(self._uri).log_batch(self._run_id, metrics=metrics)
            self._last = int(batch[-1]["step"])
            write_note(self._mark, str(self._last))

    def _new_rows(self) -> tuple[list[dict[str, Any]], int]:
        """The rows behind the offset, and the offset behind them."""
        if not self._progress.exists():
            return [], 0
        with self._progress.open("rb") as stream:
            if stream.seek(0, 2) < self._offset:
                self._offset = 0
            stream.seek(self._offset)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]  # the last line may be half written
        rows = [json.loads(line) for line in whole.splitlines() if line.strip()]
        return rows, self._offset + len(whole)


def _metrics(row: dict[str, Any]) -> list[Metric]:
    now, step = int(time.time() * 1000), int(row.get("step", 0))
    return [
        Metric("train/" + key.replace("@", "_at_"), float(value), now, step)
        for key, value in row.items()
        if key not in NOT_CURVES and isinstance(value, int | float) and not isinstance(value, bool)
    ]
