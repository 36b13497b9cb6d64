"""Parquet tables of one's own: a file or a folder per table, foreign column names mapped."""

from pathlib import Path

import duckdb
import pandas as pd

from perennial.data.schema import TABLES
from perennial.errors import BadInput


def read_parquet_tables(
    folder: Path, *, columns: dict[str, dict[str, str]]
) -> dict[str, pd.DataFrame]:
    """{table: rows} of `<table>.parquet` or `<table>/*.parquet`; `columns` maps ours to theirs."""
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
        pattern = folder / f"{table}.parquet"
        if not pattern.exists():
            pattern = folder / table / "*.parquet"
            if not list(pattern.parent.glob("*.parquet")):
                continue
        rows = _read(pattern)
        theirs = columns.get(table, {})
        absent = sorted(name for name in theirs.values() if name not in rows.columns)
        if absent:
            raise BadInput(
                f"source.columns.{table} maps {absent[0]!r}, which {pattern} does not have; its "
                f"columns are {', '.join(rows.columns)}"
            )
        rows = rows.assign(**{ours: rows[name] for ours, name in theirs.items()})
        for optional in _optional(table):
            if optional not in rows.columns:
                rows[optional] = None
        found[table] = rows
    if "catalogue" not in found:
        raise BadInput(f"{folder} holds no catalogue.parquet and no catalogue/*.parquet")
    return found


def _read(pattern: Path) -> pd.DataFrame:
    try:
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            found = connection.sql(
                "select * from read_parquet($files)", params={"files": str(pattern)}
            ).to_arrow_table()  # duckdb's own way to pandas calls what pandas 3.1 deprecates
    except duckdb.Error as error:
        raise BadInput(
            f"{pattern} is not readable as parquet ({' '.join(str(error).split())}); export it "
            "again"
        ) from error
    rows: pd.DataFrame = found.to_pandas()
    return rows


def _optional(table: str) -> list[str]:
    return [field.name for field in TABLES[table] if field.nullable]
