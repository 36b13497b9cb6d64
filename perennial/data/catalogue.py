"""The catalogue as an index compares it: arrow columns, checked, without the texts in memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.schema import CATALOGUE
from perennial.errors import BadInput, TableInvalid

_ROWS = 16_384  # read at a time: decoded, joined and hashed while the cache still holds them
_SHOWN = 3
_TYPES = {
    "doc_id": pa.string(),
    "title": pa.large_string(),  # what large texts are joined with must be large
    "text": pa.large_string(),
    "slice": pa.string(),
    "updated_at": CATALOGUE.field("updated_at").type,
}


@dataclass(frozen=True)
class Documents:
    """n documents, sorted by doc_id, and the newest `updated_at`; `rows` are theirs in the file."""

    path: Path
    doc_ids: pa.StringArray
    text_digests: pa.StringArray
    slices: pa.StringArray
    watermark: str
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.doc_ids)


def read_documents(
    path: Path, *, digests_of: Callable[[pa.LargeStringArray], pa.StringArray]
) -> Documents:
    """The documents of a catalogue file; raises BadInput, or TableInvalid for a broken promise."""
    parts: list[list[pa.Array]] = [
        [batch["doc_id"], digests_of(_joined(batch)), batch["slice"], batch["updated_at"]]
        for batch in _batches(path, list(_TYPES))
    ]
    if not sum(len(part[0]) for part in parts):
        raise BadInput(
            f"the catalogue is empty: {path} has no row; export its documents again, nothing was "
            "changed"
        )
    doc_ids, digests, slices, updated = (
        pa.concat_arrays(column) for column in zip(*parts, strict=True)
    )
    _check_unique(doc_ids, path)
    order = pc.sort_indices(doc_ids)
    return Documents(
        path=path,
        doc_ids=doc_ids.take(order),
        text_digests=digests.take(order),
        slices=slices.take(order),
        watermark=pc.max(updated).as_py().isoformat().replace("+00:00", "Z"),
        rows=order.to_numpy(),
    )


def read_texts(documents: Documents, chosen: np.ndarray) -> list[str]:
    """Title and text of some documents, as every index embeds them; reads the file once more."""
    if not len(chosen):
        return []
    rows = documents.rows[chosen]
    ascending = np.argsort(rows)
    wanted, found, start = rows[ascending], [pa.array([], pa.large_string())], 0
    for batch in _batches(documents.path, ["title", "text"]):
        here = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + len(batch))]
        if len(here):
            found.append(_joined(batch.take(pa.array(here - start))))
        start += len(batch)
    place = np.empty(len(rows), dtype=np.int64)
    place[ascending] = np.arange(len(rows))
    texts = pa.concat_arrays(found)
    if len(texts) != len(rows):
        raise BadInput(f"{documents.path} changed while it was read; run again")
    return list(texts.take(pa.array(place)).to_pylist())


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with _readable(path) as file:
        there = set(file.schema_arrow.names)
        for field in CATALOGUE:
            if field.name not in there and not field.nullable:
                raise lacks_column(path, field.name)
        read = [name for name in columns if name in there]
        for batch in file.iter_batches(batch_size=_ROWS, columns=read):
            yield pa.record_batch({name: _column(batch, name, path) for name in columns})


def lacks_column(path: Path, name: str) -> TableInvalid:
    """What to say of a catalogue without a column that may not be null."""
    return TableInvalid(
        f"{path} lacks the column {name}; add it, or map another name to it under "
        "source.columns.catalogue in params.yaml and import again"
    )


@contextmanager
def _readable(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:  # read_table would import pandas
            yield file
    except FileNotFoundError as error:
        raise BadInput(
            f"{path} is missing; import a source first: perennial import apidocs"
        ) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"{path} is not a readable parquet file: {error}") from error


def _column(batch: pa.RecordBatch, name: str, path: Path) -> pa.Array:
    if name not in batch.schema.names:
        return pa.nulls(len(batch), _TYPES[name])
    try:
        # Nanoseconds are cut: no catalogue is newer for them.
        column = batch[name].cast(_TYPES[name], safe=name != "updated_at")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableInvalid(
            f"column {name} of {path} does not fit its type {_TYPES[name]}: {error}"
        ) from error
    if column.null_count and not CATALOGUE.field(name).nullable:
        raise TableInvalid(
            f"column {name} of {path} lacks values, such as in {column.null_count} of "
            f"{len(column)} rows; fill them or leave those rows out"
        )
    return column


def _joined(batch: pa.RecordBatch) -> pa.LargeStringArray:
    """What every index embeds of a document: title, newline and text, or the text alone."""
    title, text = batch["title"], batch["text"]
    joined = pc.binary_join_element_wise(title, text, pa.scalar("\n", pa.large_string()))
    untitled = pc.equal(pc.binary_length(title), 0)
    return pc.if_else(untitled, text, joined) if pc.any(untitled).as_py() else joined


def _check_unique(doc_ids: pa.StringArray, path: Path) -> None:
    if pc.count_distinct(doc_ids).as_py() == len(doc_ids):
        return
    counts = pc.value_counts(doc_ids)
    often = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    shown = ", ".join(repr(value) for value in often.slice(0, _SHOWN).to_pylist())
    raise TableInvalid(
        f"{len(often)} doc_ids stand more than once in {path}, such as {shown}; export each "
        "document once, nothing was changed"
    )
