"""A closed spool becomes parquet files of the source, one per table, whole or not at all."""

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.schema import TABLES
from perennial.release.stores.durable import make_folder, sync_folder, temporary_beside, usable
from perennial.serving.log.spool import ORDER, abandoned, batches, remove

# A spool's batches are as small as its flushes; a reader pays for each group of rows.
_GROUP_ROWS = 100_000


def write_parts(spool: Path, source: Path) -> int:
    """Write `source`/<table>/date=<day>/<name>.parquet of a spool `<day>.<name>`: how many rows.

    The same spool gives the same names: after a kill half way, doing it again doubles nothing.
    """
    day, _, name = spool.name.partition(".")
    written = 0
    for table in ORDER:
        path = source / table / f"date={date.fromisoformat(day)}" / f"{name}.parquet"
        with usable(path.parent):
            written += _write(spool, table, path)
    return written


def recover(folder: Path, source: Path) -> int:
    """Write the parts of all spools whose processes were killed, and delete those; the rows."""
    rows = 0
    with abandoned(folder) as spools:
        for spool in spools:
            rows += write_parts(spool, source)
            remove(spool)
    return rows


def _write(spool: Path, table: str, path: Path) -> int:
    found = batches(spool, table)
    first = next(found, None)
    if first is None:
        return 0
    make_folder(path.parent)
    temporary, rows = temporary_beside(path), int(first.num_rows)
    try:
        with temporary.open("wb") as file:
            with pq.ParquetWriter(file, TABLES[table], compression="zstd") as writer:
                group, waiting = [first], rows
                for more in found:
                    if waiting >= _GROUP_ROWS:
                        writer.write_table(pa.Table.from_batches(group))
                        group, waiting = [], 0
                    group.append(more)
                    waiting, rows = waiting + int(more.num_rows), rows + int(more.num_rows)
                writer.write_table(pa.Table.from_batches(group))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return rows
