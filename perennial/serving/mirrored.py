"""Mirrored pairs, and where they are kept: the newest parquet files, each whole or not there."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.schema import MIRRORED
from perennial.serving.answer import Answer

_NAME = "date=%Y-%m-%d/%H%M%S%f"  # of a file, by its moment: names are sorted as moments are


@dataclass(frozen=True)
class Pair:
    """Two answers to one live query; `stable_ms` is None where stable was not asked again."""

    request_id: str
    ts: datetime
    stable: Answer
    candidate: Answer
    stable_ms: float | None
    candidate_ms: float


@dataclass(frozen=True)
class Counts:
    """Of all queries offered: dropped (no room, closed, or another candidate by now), failed (the
    candidate raised) and compared; of the compared ones, those that could not be kept are lost."""

    offered: int = 0
    dropped: int = 0
    failed: int = 0
    compared: int = 0
    lost: int = 0

    def since(self, before: "Counts") -> "Counts":
        """What was counted after `before`."""
        then = vars(before)
        return Counts(**{name: value - then[name] for name, value in vars(self).items()})


Keep = Callable[[str, Sequence[Pair], Counts], None]


@dataclass(frozen=True)
class MirroredFiles:
    """Called as a mirror's `keep`: a file of pairs, and as its metadata what was counted.

    Several processes may write into one folder. Files of over `hours` ago are deleted.
    """

    folder: Path
    hours: float = 1.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, release_id: str, pairs: Sequence[Pair], counts: Counts) -> None:
        """Write one file; raises OSError where the disk refuses it."""
        now = self.now()
        path = self.folder / f"{now:{_NAME}}-{os.getpid()}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {"candidate": release_id} | {n: str(v) for n, v in asdict(counts).items()}
        beside = path.with_name(f".{path.name}.partial")
        try:
            pq.write_table(_table(pairs).replace_schema_metadata(about), beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        first = self.folder / f"{now - timedelta(hours=self.hours):{_NAME}}"
        for old in self.folder.glob("date=*/*.parquet"):
            if old < first:
                old.unlink(missing_ok=True)


def _table(pairs: Sequence[Pair]) -> pa.Table:
    rows = [
        {
            "request_id": pair.request_id,
            "ts": pair.ts,
            "stable": pair.stable.release_id,
            "candidate": pair.candidate.release_id,
            "stable_docs": list(pair.stable.doc_ids),
            "stable_scores": list(pair.stable.scores),
            "candidate_docs": list(pair.candidate.doc_ids),
            "candidate_scores": list(pair.candidate.scores),
            "stable_ms": pair.stable_ms,
            "candidate_ms": pair.candidate_ms,
        }
        for pair in pairs
    ]
    return pa.Table.from_pylist(rows, schema=MIRRORED)
