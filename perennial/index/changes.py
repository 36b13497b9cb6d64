"""What a catalogue changed against the rows that an index holds; vectorised, no loop over rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.errors import IntegrityError


@dataclass(frozen=True)
class HeldRows:
    """The rows of one segment, dead ones too: arrow columns of r rows, and (r,) bool."""

    doc_ids: pa.StringArray
    text_digests: pa.StringArray
    slices: pa.StringArray
    dead: np.ndarray


@dataclass(frozen=True)
class Changes:
    """Rows of the catalogue by what became of them, ascending, and rows of segments to bury.

    `fresh` are all that need a row in a new segment: `added` ones, `changed` ones, whose text is
    another, and `resliced` ones, whose old vector stands at (segment, row) of `origins`.
    """

    added: np.ndarray
    changed: np.ndarray
    resliced: np.ndarray
    origins: np.ndarray  # (len(resliced), 2)
    removed: tuple[str, ...]  # doc_ids
    dead: tuple[np.ndarray, ...]  # per segment: rows that are live now and must not be
    live: int  # documents held before

    @property
    def fresh(self) -> np.ndarray:
        return np.sort(np.concatenate([self.added, self.changed, self.resliced]))

    @property
    def is_empty(self) -> bool:
        """True where the index holds exactly this catalogue."""
        return not len(self.fresh) and not any(len(rows) for rows in self.dead)


def read_held(directory: Path, *, ids: str, tombstones: str | None) -> HeldRows:
    """The rows of a segment's two small files; raises IntegrityError where they are no such."""
    try:
        with pq.ParquetFile(directory / ids) as file:  # read_table would import pandas
            names = ["doc_id", "text_digest", "slice"]
            table = file.read(columns=[n for n in names if n in file.schema_arrow.names])
        if "slice" not in table.column_names:  # written before there were slices
            table = table.append_column("slice", pa.nulls(len(table), pa.string()))
        doc_ids, digests, slices = (
            table[name].cast(pa.string()).combine_chunks() for name in names
        )
        dead = np.zeros(len(table), dtype=bool)
        if tombstones is not None:
            dead[np.load(directory / tombstones, allow_pickle=False)] = True
        return HeldRows(doc_ids, digests, slices, dead)
    except (OSError, ValueError, IndexError, KeyError, pa.ArrowException) as error:
        raise IntegrityError(
            f"{directory / ids} or its tombstones are missing or damaged: {error}; run `perennial "
            "verify`, then `perennial rollback`"
        ) from error


def find_changes(
    doc_ids: pa.StringArray,
    text_digests: pa.StringArray,
    slices: pa.StringArray,
    held: Sequence[HeldRows],
) -> Changes:
    """A catalogue (n unique doc_ids) against the segments of an index: what must change there.

    A document that two live rows hold loses one of them: an index heals by the next comparison.
    """
    lives = [np.flatnonzero(~segment.dead) for segment in held]
    segment_of = np.repeat(np.arange(len(held)), [len(rows) for rows in lives])
    row_of = np.concatenate([np.empty(0, dtype=np.int64), *lives]).astype(np.int64)
    names = _live(held, lives, "doc_ids")
    at = pc.fill_null(pc.index_in(names, value_set=doc_ids), -1).to_numpy()
    known = at >= 0
    wanted = pa.array(at, mask=~known)
    same_text = _equal(_live(held, lives, "text_digests"), text_digests.take(wanted)) & known
    whole = same_text & _equal(_live(held, lives, "slices"), slices.take(wanted))
    stays = np.zeros(len(at), dtype=bool)
    candidates = np.flatnonzero(whole)
    stays[candidates[np.unique(at[candidates], return_index=True)[1]]] = True

    count = len(doc_ids)
    is_held, is_same, origin = _mark(count, at[known]), _mark(count, at[stays]), np.full(count, -1)
    origin[at[same_text]] = np.flatnonzero(same_text)
    fresh = ~is_same
    resliced = np.flatnonzero(fresh & (origin >= 0))
    sources = origin[resliced]
    return Changes(
        added=np.flatnonzero(fresh & ~is_held),
        changed=np.flatnonzero(fresh & is_held & (origin < 0)),
        resliced=resliced,
        origins=np.stack([segment_of[sources], row_of[sources]], axis=1),
        removed=tuple(pc.unique(names.filter(pa.array(~known))).to_pylist()),
        dead=tuple(row_of[(segment_of == s) & ~stays] for s in range(len(held))),
        live=len(at),
    )


def _live(held: Sequence[HeldRows], lives: Sequence[np.ndarray], column: str) -> pa.StringArray:
    parts = [
        getattr(segment, column).take(pa.array(rows))
        for segment, rows in zip(held, lives, strict=True)
    ]
    return pa.concat_arrays([pa.array([], pa.string()), *parts])


def _equal(one: pa.StringArray, other: pa.StringArray) -> np.ndarray:
    """(n,) bool; null equals null."""
    same = pc.fill_null(pc.equal(one, other), False)
    return np.asarray(pc.or_(same, pc.and_(pc.is_null(one), pc.is_null(other))).to_numpy(False))


def _mark(count: int, rows: np.ndarray) -> np.ndarray:
    marks = np.zeros(count, dtype=bool)
    marks[rows] = True
    return marks
