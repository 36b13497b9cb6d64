"""Tables written while they stream by: bounded memory, and same rows, same bytes."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.schema import TABLES
from perennial.errors import TableInvalid

BATCH_ROWS = 131_072  # of a row group, and so of what is in memory at once
# What arrow holds beyond Python's years 1 to 9999 is a wrong unit; with room for a window's days.
FIRST, LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def write_stream(batches: Iterable[pa.RecordBatch], path: Path, *, table: str) -> int:
    """Write the table's columns of the batches in its types; the number of rows.

    Row groups are of one size, however the batches were cut. Raises TableInvalid naming the column
    that does not fit.
    """
    schema, rows = TABLES[table], 0
    with pq.ParquetWriter(path, schema) as writer:
        for part in _of_one_size(batches, schema.names):
            columns = [_fitting(part[f.name], f, table=table, row=rows) for f in schema]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            rows += len(part)
    return rows


def _of_one_size(batches: Iterable[pa.RecordBatch], names: list[str]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        batch = batch.select(names)
        while count + len(batch) >= BATCH_ROWS:
            taken = BATCH_ROWS - count
            yield pa.Table.from_batches([*waiting, batch.slice(0, taken)]).combine_chunks()
            batch, waiting, count = batch.slice(taken), [], 0
        if len(batch):
            waiting.append(batch)
            count += len(batch)
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _fitting(column: pa.ChunkedArray, field: pa.Field, *, table: str, row: int) -> pa.ChunkedArray:
    # Nanoseconds, as pandas writes them, lose what no log needs.
    options = pc.CastOptions(field.type, allow_time_truncate=True)
    try:
        fitting = pc.cast(column, options=options)
    except (pa.ArrowException, ValueError) as error:
        raise TableInvalid(
            f"column {field.name} of table {table} does not fit its type {field.type}: {error}"
        ) from error
    if pa.types.is_timestamp(field.type):
        early, late = (pa.scalar(each, field.type) for each in (FIRST, LAST))
        usual = pc.and_(pc.greater_equal(fitting, early), pc.less_equal(fitting, late))
        if not pc.all(usual, min_count=0).as_py():  # a null is told below
            raise odd_time(table, field.name)
    if fitting.null_count and not field.nullable:
        first = row + pc.index(pc.is_null(fitting), True).as_py()
        raise TableInvalid(
            f"column {field.name} of table {table} lacks a value, first in row {first:,}; fill it "
            "or leave such rows out"
        )
    return fitting


def odd_time(table: str, column: str) -> TableInvalid:
    """The error for a time before FIRST or after LAST."""
    return TableInvalid(
        f"column {column} of table {table} has a time that is not in the years {FIRST.year} to "
        f"{LAST.year}; look whether it counts seconds, milliseconds or microseconds, and correct "
        "or leave out such rows"
    )
