"""Parquet tables of one's own: a file or a folder per table, foreign column names mapped."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from perennial.data.schema import TABLES
from perennial.data.sources.days import part_files
from perennial.data.streams import BATCH_ROWS, write_stream
from perennial.errors import BadInput, TableInvalid

Columns = Mapping[str, Mapping[str, str]]
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_IDS = ("UUID", *_NUMBERS, *(f"U{name}" for name in _NUMBERS))


def find_tables(folder: Path, *, columns: Columns) -> dict[str, list[Path]]:
    """{table: files} of `<table>.parquet`, or of what lies below `<table>/`, flat or by day.

    Raises BadInput for a mapping of columns that names none of ours.
    """
    unknown = sorted(set(columns) - set(TABLES))
    if unknown:
        raise BadInput(f"source.columns.{unknown[0]} names no table; known are {', '.join(TABLES)}")
    for table, names in columns.items():
        foreign = sorted(set(names) - set(TABLES[table].names))
        if foreign:
            raise BadInput(
                f"source.columns.{table}.{foreign[0]} names no column of ours; known are "
                f"{', '.join(TABLES[table].names)}"
            )
    found = {}
    for table in TABLES:
        whole = folder / f"{table}.parquet"
        if files := [whole] if whole.exists() else part_files(folder / table):
            found[table] = files
    if "catalogue" not in found:
        raise BadInput(f"{folder} holds no catalogue.parquet and no catalogue/*.parquet")
    return found


def copy_table(table: str, files: Sequence[Path], to: Path, *, columns: Columns) -> int:
    """Write the rows of the files to one of ours, batch by batch; how many.

    Raises BadInput for what is no parquet, TableInvalid for what is not this table.
    """
    try:
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
            query = read_of(connection, table, files, names=columns.get(table, {}))
            return write_stream(connection.sql(query).to_arrow_reader(BATCH_ROWS), to, table=table)
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise BadInput(
            f"{_place(files)} is not readable as parquet ({' '.join(str(error).split())}); export "
            "it again"
        ) from error


def read_of(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Path],
    *,
    names: Mapping[str, str] | None = None,
) -> str:
    """The query for the table's columns of the files, `names` being theirs for ours.

    Raises TableInvalid naming a column that they lack; those that may be null are null then.
    """
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
    rows = f"read_parquet([{listed}], union_by_name = true, hive_types_autocast = false)"
    described = connection.execute(f"describe from {rows}").fetchall()
    types = {name: kind for name, kind, *_ in described}
    mapped = names or {}
    absent = sorted(name for name in mapped.values() if name not in types)
    if absent:
        raise BadInput(
            f"source.columns.{table} maps {absent[0]!r}, which {_place(files)} does not have; its "
            f"columns are {', '.join(types)}"
        )
    chosen = (_column(f, mapped.get(f.name, f.name), types, table=table) for f in TABLES[table])
    return f"select {', '.join(chosen)} from {rows}"  # noqa: S608


def _column(field: pa.Field, theirs: str, types: dict[str, str], *, table: str) -> str:
    if theirs not in types:
        if field.nullable:
            return f"null as {field.name}"
        raise TableInvalid(
            f"table {table} of the source lacks the column {field.name}; add it, or map another "
            f"name to it under source.columns.{table} in params.yaml and import again"
        )
    quoted = '"' + theirs.replace('"', '""') + '"'
    is_id = field.type == pa.string() and types[theirs] in _IDS
    return f"{quoted}{'::varchar' if is_id else ''} as {field.name}"


def _place(files: Sequence[Path]) -> Path:
    """The file, or where the files lie."""
    return files[0] if len(files) == 1 else files[0].parent
