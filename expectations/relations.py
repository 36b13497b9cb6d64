"""A snapshot's parquet files as DuckDB relations: read where they lie, never whole in memory."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from expectations.facts import FACTS, SHOWN, twice
from expectations.tables import Snapshot
from perennial.data.schema import TABLES
from perennial.errors import PlaceUnusable, TableInvalid

TYPES = {
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int32": "INTEGER",
    "float": "FLOAT",
    "double": "DOUBLE",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
}


@contextmanager
def relations(
    snapshot: Snapshot, *, unfit: set[str], memory_mb: int, spill: Path
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with a view for each table, with its row number as `row`, and `<table>_facts`.

    A column in `unfit` ("table.column") is all null. Beyond `memory_mb` DuckDB works in the folder
    `spill`. Raises TableInvalid for a damaged file, PlaceUnusable where there is no room.
    """
    connection = duckdb.connect(
        config={"memory_limit": f"{memory_mb}MB", "temp_directory": str(spill)}
    )
    try:
        # no result here depends on the order of a table that has no ORDER BY
        connection.execute(
            "SET timezone = 'UTC'; SET preserve_insertion_order = false;"
            "SET enable_progress_bar = false"
        )
        for table, found in snapshot.tables.items():
            columns = ", ".join(
                f"NULL::{TYPES[str(field.type)]} AS {field.name}"
                if f"{table}.{field.name}" in unfit
                else f'"{field.name}"'
                for field in TABLES[table]
            )
            files = connection.read_parquet(str(found.path), file_row_number=True)
            files.project(f"file_row_number AS row, {columns}").create_view(table)
            connection.execute(twice(table))
        connection.execute(SHOWN)
        for name, query in FACTS.items():
            connection.execute(f"CREATE TEMP VIEW {name}_facts AS {query}")
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise PlaceUnusable(
            f"the tables need more room than {memory_mb} MB of memory and {spill.parent} have "
            f"({_plain(error)}); free some space, or raise validate.memory_mb."
        ) from error
    except duckdb.Error as error:
        raise TableInvalid(
            f"a table of the snapshot cannot be read ({_plain(error)}); "
            "run `perennial snapshot` again."
        ) from error
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
