"""The file of a segment's postings: an Arrow file, mapped and not read, so that a release which
answers by its vectors alone pays for it in address space only."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from perennial.errors import IntegrityError, PlaceUnusable
from perennial.index.lexical.postings import Postings, count_words
from perennial.index.lexical.words import name_hashes

SUFFIX = ".lexical.arrow"
MAGIC = b"ARROW1"
_VERSION = {b"postings": b"1"}
_UNSIGNED = ("uint8", "uint16", "uint32")
_TYPES = {
    "terms": ("uint64",),
    "starts": ("uint64",),
    "rows": _UNSIGNED,
    "counts": _UNSIGNED,
    "lengths": ("uint32",),
    "names": ("uint64",),
}


def write_postings(path: Path, postings: Postings) -> None:
    """Write the file; same postings, same bytes. Raises PlaceUnusable with the disk's own words."""
    columns = []
    for name in _TYPES:
        values = pa.array(np.ascontiguousarray(getattr(postings, name)))
        whole = pa.array([0, len(values)], pa.int64())
        columns.append(pa.LargeListArray.from_arrays(whole, values))
    batch = pa.record_batch(columns, names=list(_TYPES)).replace_schema_metadata(_VERSION)
    try:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
    except OSError as error:
        raise PlaceUnusable(
            f"cannot write {path}: {error.strerror or error}; make the folder writable, free some "
            "space, and run again to continue"
        ) from error


def write_words(
    directory: Path, *, name: str, texts: Sequence[str] | None, doc_ids: Sequence[str]
) -> str | None:
    """Count and write the words of a segment such as "segment-0003"; the file's name, None where
    there are no texts."""
    if texts is None:
        return None
    write_postings(directory / f"{name}{SUFFIX}", count_words(texts, doc_ids))
    return f"{name}{SUFFIX}"


def read_postings(path: Path, *, rows: int) -> Postings:
    """The postings of a segment with so many rows, mapped; raises IntegrityError."""
    try:
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        if (batch.schema.metadata or {}).get(b"postings") != _VERSION[b"postings"]:
            raise ValueError("it is of another format; upgrade Perennial")
        found = Postings(**{name: _values(batch, name) for name in _TYPES})
    except (OSError, KeyError, ValueError, IndexError, TypeError, pa.ArrowException) as error:
        raise _damaged(path, str(error)) from error
    held = len(found.rows)
    if len(found) != rows or len(found.names) != rows:
        raise _damaged(path, f"it is of {len(found)} documents, its segment of {rows}")
    if len(found.starts) != len(found.terms) + 1 or len(found.counts) != held:
        raise _damaged(path, "its arrays do not fit each other")
    if found.starts[0] != 0 or found.starts[-1] != held:
        raise _damaged(path, f"its last posting is not the last of {held}")
    return found


def check_postings(path: Path, *, doc_ids: list[str]) -> None:
    """Raise IntegrityError unless every number of the file is one that counting could have made,
    for these documents; reads all of it."""
    found = read_postings(path, rows=len(doc_ids))
    counted = np.bincount(found.rows, weights=found.counts, minlength=len(doc_ids))
    if not (
        (np.diff(found.starts.astype(np.int64)) > 0).all()
        and (found.terms[1:] > found.terms[:-1]).all()
        and np.array_equal(counted, found.lengths)
        and np.array_equal(found.names, name_hashes(doc_ids))
    ):
        raise _damaged(path, "it does not count the words of its segment's documents")


def _values(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """One column without a copy, and without the import of pandas that to_numpy costs."""
    column = batch.column(name)
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int64, count=2, offset=0)
    values = column.values
    kind = str(values.type)
    if kind not in _TYPES[name] or values.null_count or offsets[0] != 0 or values.offset:
        raise ValueError(f"its column {name} holds {values.type}")
    buffer = values.buffers()[1]
    if not len(values) or buffer is None:
        return np.empty(0, dtype=kind)
    return np.frombuffer(buffer, dtype=kind, count=len(values))


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"the lexical part {path} cannot be read: {why}; run `perennial verify`, then "
        "`perennial rollback`"
    )
