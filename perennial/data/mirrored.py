"""What a service's mirror kept of one candidate: both answers to live queries, and its counts."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.schema import MIRRORED
from perennial.errors import BadInput

_COUNTS = ("offered", "dropped", "failed", "compared", "lost")


@dataclass(frozen=True)
class Answers:
    """(n, k) documents, None below an answer's end; (n, k) scores, NaN there; (n,) milliseconds,
    NaN where they were not measured."""

    documents: np.ndarray
    scores: np.ndarray
    milliseconds: np.ndarray


@dataclass(frozen=True)
class Mirrored:
    """The newest n pairs, and what was counted of all queries that were offered."""

    request_ids: list[str]
    stable: Answers
    candidate: Answers
    counts: dict[str, int]


def read_mirrored(
    folder: Path, *, stable: Collection[str], candidate: Collection[str], most: int, k: int
) -> Mirrored | None:
    """The pairs of these releases and the counts of the candidate; None where there is neither.

    Raises BadInput for a file that is no parquet, or not a mirror's.
    """
    counts, tables, rows = dict.fromkeys(_COUNTS, 0), [], 0
    for path in sorted(folder.glob("date=*/*.parquet"), reverse=True):
        table = _read(path, candidate)
        if table is None:
            continue
        for name in _COUNTS:
            counts[name] += int(table.schema.metadata[name.encode()])
        if rows < most:
            kept = pc.is_in(table["stable"], pa.array(list(stable), pa.string()))
            tables.append(table.filter(kept)[::-1].replace_schema_metadata(None))
            rows += len(tables[-1])
    if not counts["offered"]:
        return None
    found = pa.concat_tables(tables).slice(0, most)
    return Mirrored(
        request_ids=found["request_id"].to_pylist(),
        stable=_answers(found, "stable", k),
        candidate=_answers(found, "candidate", k),
        counts=counts,
    )


def _read(path: Path, candidate: Collection[str]) -> pa.Table | None:
    """The file's rows; None where they are another candidate's, or it was just deleted."""
    try:
        with pq.ParquetFile(path) as file:
            about = file.schema_arrow.metadata or {}
            if about.get(b"candidate", b"").decode() not in candidate:
                return None
            return file.read(columns=MIRRORED.names)
    except FileNotFoundError:
        return None
    except (pa.ArrowInvalid, KeyError) as error:
        raise BadInput(f"{path} is not what a mirror writes ({error}); delete it") from error


def _answers(found: pa.Table, side: str, k: int) -> Answers:
    lists = found[f"{side}_docs"].to_pylist(), found[f"{side}_scores"].to_pylist()
    documents = np.full((len(found), k), None, dtype=object)
    scores = np.full((len(found), k), np.nan)
    for row, column, doc_id, score in _cells(*lists, k):
        documents[row, column], scores[row, column] = doc_id, score
    milliseconds = found[f"{side}_ms"].to_numpy().astype(np.float64)  # null becomes NaN
    return Answers(documents, scores, milliseconds)


def _cells(
    documents: list[list[str]], scores: list[list[float]], k: int
) -> Iterator[tuple[int, int, str, float]]:
    for row, (names, values) in enumerate(zip(documents, scores, strict=True)):
        for column, (name, value) in enumerate(zip(names[:k], values[:k], strict=True)):
            yield row, column, name, value
