"""A segment: an immutable FAISS file, its rows' ids and slices, and the rows that count no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.errors import EncoderMismatch, IntegrityError
from perennial.index.codes import contained, unpacked
from perennial.index.selection import Selection, SliceCodes, slice_codes
from perennial.index.template import write_index

_QUANTIZER = b"quantizer"


@dataclass(frozen=True, eq=False)
class Rows:
    """What never changes of a segment, shared by all releases that hold it.

    `template` is the lineage's quantizer with its fingerprint, `coarse` its centroids (IVF);
    `box` holds the lists that `vectors` points at without owning them.
    """

    vectors: faiss.Index
    doc_ids: pa.Array  # (rows,) of str: 10 million Python strings would take a gigabyte
    slices: SliceCodes
    template: tuple[faiss.IndexIVF, str] | None = None
    coarse: faiss.Index | None = None
    box: faiss.Index | None = None

    def __len__(self) -> int:
        return len(self.doc_ids)


@dataclass(frozen=True, eq=False)
class Segment:
    """Rows, and which of them are `dead`: (rows,) bool; `names` are the vectors files they are of,
    several where they were laid together in memory."""

    rows: Rows
    dead: np.ndarray
    names: tuple[str, ...] = ()

    @cached_property
    def live(self) -> int:
        """Rows that count."""
        return int(len(self.dead) - np.count_nonzero(self.dead))

    @cached_property
    def selection(self) -> Selection:
        """Which rows a search may answer with, for every slice."""
        return Selection(self.dead, self.rows.slices)


def write_segment(
    directory: Path,
    *,
    name: str,
    vectors: faiss.Index,
    doc_ids: Sequence[str] | pa.Array,
    text_digests: Sequence[str] | pa.Array,
    slices: Sequence[str | None] | pa.Array | None = None,
    template: str | None = None,
) -> None:
    """Write `<name>.faiss` and `<name>.parquet` (doc_id, text_digest, slice; row i is row i).

    `template` is the fingerprint of the quantizer that encoded the vectors.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_index(contained(vectors), directory / f"{name}.faiss")
    table = names_table(doc_ids, text_digests, slices)
    if template is not None:
        table = table.replace_schema_metadata({_QUANTIZER: template.encode()})
    write_names(directory / f"{name}.parquet", table)


def names_table(
    doc_ids: Sequence[str] | pa.Array,
    text_digests: Sequence[str] | pa.Array,
    slices: Sequence[str | None] | pa.Array | None,
) -> pa.Table:
    """(doc_id, text_digest, slice), as an ids file has them."""
    columns = {
        "doc_id": pa.array(doc_ids, pa.string()),
        "text_digest": pa.array(text_digests, pa.string()),
        "slice": pa.nulls(len(doc_ids), pa.string())
        if slices is None
        else pa.array(slices, pa.string()),
    }
    return pa.table(columns)


def write_names(path: Path, table: pa.Table) -> None:
    """Write an ids file."""
    # Random digests halve under zstd; a dictionary of values that never repeat costs twice.
    pq.write_table(table, path, compression="zstd", use_dictionary=["slice"])


def read_rows(
    directory: Path,
    *,
    vectors: str,
    ids: str,
    template: tuple[faiss.IndexIVF, str] | None,
    mmap: bool,
) -> Rows:
    """The rows of two file names; raises IntegrityError where they or the template disagree."""
    try:
        flags = faiss.IO_FLAG_MMAP_IFC if mmap else 0
        index = faiss.read_index(str(directory / vectors), flags)
        doc_ids, slices, made_by = read_names(directory / ids)
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        raise damaged(directory, vectors, error) from error
    if index.ntotal != len(doc_ids):
        raise IntegrityError(
            f"{vectors} holds {index.ntotal} vectors but {ids} names {len(doc_ids)} documents; "
            "run `perennial verify`, then `perennial rollback`"
        )
    check_template(made_by.decode() if made_by else None, template, vectors=vectors)
    if template is None or made_by is None:  # a graph, a scan, or lists with their own quantizer
        coarse = index.quantizer if isinstance(index, faiss.IndexIVF) else None
        return Rows(index, doc_ids, slices, coarse=coarse)
    shared = unpacked(index, template[0], what=vectors)
    return Rows(shared, doc_ids, slices, template, template[0].quantizer, box=index)


def read_names(ids: Path) -> tuple[pa.Array, SliceCodes, bytes | None]:
    """The doc_ids and slices of an ids file, and the quantizer that it names; raises what pyarrow
    does."""
    # pq.read_table and to_numpy would import pandas, a third of a second of every search.
    with pq.ParquetFile(ids) as stream:
        made_by = (stream.schema_arrow.metadata or {}).get(_QUANTIZER)
        has_slice = "slice" in stream.schema_arrow.names
        table = stream.read(columns=["doc_id", *(["slice"] if has_slice else [])])
    slices = slice_codes(table["slice"] if has_slice else None)
    return table["doc_id"].combine_chunks(), slices, made_by


def check_template(
    made_by: str | None, template: tuple[faiss.IndexIVF, str] | None, *, vectors: str
) -> None:
    """Raise EncoderMismatch where another quantizer than the index's encoded the segment."""
    if made_by is not None and (template is None or template[1] != made_by):
        raise EncoderMismatch(
            f"{vectors} was encoded with quantizer {made_by}, but the index has "
            f"{template[1] if template else 'none'}; run `perennial verify`, then "
            "`perennial rollback`"
        )


def read_dead(directory: Path, tombstones: str | None, *, vectors: str, rows: int) -> np.ndarray:
    """(rows,) bool of a tombstones file; raises IntegrityError where it names rows beyond."""
    dead = np.zeros(rows, dtype=bool)
    if tombstones is not None:
        try:
            dead[np.load(directory / tombstones, allow_pickle=False)] = True
        except (OSError, EOFError, ValueError, IndexError) as error:
            raise damaged(directory, vectors, error) from error
    return dead


def damaged(directory: Path, vectors: str, error: Exception) -> IntegrityError:
    """The error that names the segment and what to do."""
    return IntegrityError(
        f"a file of segment {vectors} in {directory} is missing or damaged: {error}; run "
        "`perennial verify`, then `perennial rollback`"
    )
