"""Reading and writing a table by its schema: same rows, same bytes."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.schema import TABLES
from perennial.errors import BadInput, TableInvalid


def read_table(path: Path, *, columns: list[str] | None = None) -> pd.DataFrame:
    """The rows of a parquet file; raises BadInput with the path where it is none."""
    try:
        return pq.read_table(path, columns=columns).to_pandas()
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; run the step that writes it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"{path} is not a readable parquet file: {error}") from error


def write_table(frame: pd.DataFrame, path: Path, *, table: str) -> None:
    """Write rows under the table's schema; raises TableInvalid naming the column that does not fit."""
    schema = TABLES[table]
    missing = [name for name in schema.names if name not in frame.columns]
    if missing:
        raise TableInvalid(
            f"table {table} lacks the column {', '.join(missing)}; add it, or map another name to "
            f"it under source.columns.{table} in params.yaml"
        )
    try:
        rows = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TableInvalid(f"table {table} does not fit its schema: {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)
