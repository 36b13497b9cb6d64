"""The rows of one session in a parquet file, and the file without them."""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.release.stores.durable import sync_folder
from perennial.verbs.forgetting.session import Session, is_among

Hidden = Mapping[str, Collection[str]]
UNFINISHED = ".forgetting"


def live_rows(session: Session) -> Hidden:
    """{column: values} of its rows in a source."""
    return _columns(session.raw, session)


def frozen_rows(session: Session) -> Hidden:
    """The same in what was made of a snapshot: there another session may have its id as a name."""
    return _columns(session.hashed, session)


def count_rows(path: Path, hidden: Hidden) -> int:
    """How many rows of the file go; raises ArrowException or OSError where nobody can read it."""
    with pq.ParquetFile(path, memory_map=True) as stream:
        columns = [each for each in hidden if each in stream.schema_arrow.names]
        if not columns:
            return 0
        return sum(int(pc.sum(_is_hidden(b, hidden)).as_py() or 0) for b in
                   stream.iter_batches(columns=columns))  # fmt: skip


def leave_out(path: Path, hidden: Hidden) -> None:
    """Write the file again without its rows: a reader finds the old file or the new one."""
    temporary = path.with_name(f".{path.name}{UNFINISHED}")  # which the next one writes anew
    try:
        with pq.ParquetFile(path) as stream:
            schema = stream.schema_arrow
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                for batch in stream.iter_batches():
                    kept = batch.filter(pc.invert(_is_hidden(batch, hidden)))
                    writer.write_batch(kept.cast(schema))
        shutil.copymode(path, temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _columns(names: Collection[str], session: Session) -> Hidden:
    found = {"session_id": names, "request_id": session.requests, "query": session.queries}
    return {column: values for column, values in found.items() if values}


def _is_hidden(batch: pa.RecordBatch, hidden: Hidden) -> pa.Array:
    """(n,) bool: which rows have one of the values in its column."""
    goes = pa.array([False] * batch.num_rows)
    for column, values in hidden.items():
        if column in batch.schema.names and _is_text(batch.schema.field(column).type):
            goes = pc.or_(goes, is_among(batch[column], values))
    return goes


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))
