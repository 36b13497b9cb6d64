"""Reading and writing a table by its schema: same rows, same bytes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.schema import TABLES
from perennial.errors import BadInput, TableInvalid


def read_table(path: Path, *, columns: list[str] | None = None) -> pd.DataFrame:
    """The rows of a parquet file; raises BadInput with the path where it is none."""
    try:
        frame: pd.DataFrame = pq.read_table(path, columns=columns).to_pandas()
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; run the step that writes it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"{path} is not a readable parquet file: {error}") from error
    return frame


def write_table(frame: pd.DataFrame, path: Path, *, table: str) -> None:
    """Write rows under the table's schema, whole or not at all.

    Raises TableInvalid naming the column that does not fit.
    """
    schema = TABLES[table]
    missing = [name for name in schema.names if name not in frame.columns]
    if missing:
        raise TableInvalid(
            f"table {table} lacks the column {', '.join(missing)}; add it, or map another name to "
            f"it under source.columns.{table} in params.yaml"
        )
    rows = pa.table(
        [_column(frame[field.name], field, table=table) for field in schema], schema=schema
    ).combine_chunks()  # a frame put together from parts would show its seams in the bytes
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")  # a killed writer must not leave half a log behind
    pq.write_table(rows, beside)
    beside.replace(path)


def _column(values: pd.Series, field: pa.Field, *, table: str) -> pa.Array:
    try:
        column = pa.array(_plain(values), field.type, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise TableInvalid(
            f"column {field.name} of table {table} does not fit its type {field.type}: {error}"
        ) from error
    if column.null_count and not field.nullable:
        raise TableInvalid(
            f"column {field.name} of table {table} lacks {column.null_count} of {len(column)} "
            "values; fill them or leave those rows out"
        )
    return column


def _plain(values: pd.Series) -> pd.Series | np.ndarray:
    """The values as pyarrow takes them: pandas 3.1 warns when it hands over zoned times."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return np.asarray(values.dt.tz_convert("UTC").dt.tz_localize(None))
    return values
