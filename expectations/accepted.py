"""The log in two parts, accepted and quarantined: nothing vanishes, and the counts are checked."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.schema import TABLES
from perennial.errors import IntegrityError

BATCH_ROWS = 65_536


def split_table(source: Path, leaving: pa.Table, *, table: str, kept: Path, left: Path) -> None:
    """Writes a table's rows to `kept`, in order, or with their reason to `left`; batch by batch.

    `leaving` is (row, reason), sorted by row. Raises IntegrityError if a row is in neither or both.
    """
    schema = TABLES[table]
    open_schema = pa.schema([pa.field(each.name, each.type) for each in schema])
    reasoned = open_schema.append(pa.field("reason", pa.string()))
    for path in (kept, left):
        path.parent.mkdir(parents=True, exist_ok=True)
    with (
        pq.ParquetFile(source) as file,
        pq.ParquetWriter(kept, schema) as to_keep,
        pq.ParquetWriter(left, reasoned) as to_leave,
    ):
        batches = file.iter_batches(BATCH_ROWS, columns=schema.names)
        for batch, goes, reason in _with_reasons(batches, leaving):
            rows = pa.Table.from_batches([batch]).select(schema.names)
            to_keep.write_table(rows.filter(pc.invert(goes)).cast(schema))
            if len(reason):
                gone = rows.filter(goes).cast(open_schema)
                to_leave.write_table(gone.append_column(reasoned.field("reason"), reason))
    check_law(
        table,
        rows=pq.read_metadata(source).num_rows,
        accepted=pq.read_metadata(kept).num_rows,
        quarantined=pq.read_metadata(left).num_rows,
    )


def check_law(table: str, *, rows: int, accepted: int, quarantined: int) -> None:
    """Rows in = rows accepted + rows quarantined; raises IntegrityError."""
    if rows != accepted + quarantined:
        raise IntegrityError(
            f"{table} has {rows:,} rows in the snapshot, but {accepted:,} were accepted and "
            f"{quarantined:,} quarantined; nothing may vanish: run validate again, and report it "
            "if it comes back."
        )


def _with_reasons(
    batches: Iterator[pa.RecordBatch], leaving: pa.Table
) -> Iterator[tuple[pa.RecordBatch, pa.Array, pa.ChunkedArray]]:
    """Each batch with a flag for every row that leaves, and the reasons of those."""
    places = leaving["row"].to_numpy()
    start = 0
    for batch in batches:
        first, last = np.searchsorted(places, (start, start + batch.num_rows))
        goes = np.zeros(batch.num_rows, dtype=bool)
        goes[places[first:last] - start] = True
        yield batch, pa.array(goes), leaving["reason"].slice(first, last - first)
        start += batch.num_rows
