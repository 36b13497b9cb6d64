"""The accepted log, the rows that were not, and what the accepted ones look like."""

import json
import shutil

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.profile import profile
from perennial.data.schema import LOG_TABLES, TABLES
from perennial.workspace import Workspace


def write_log(workspace: Workspace) -> None:
    """artifacts/validate: log/, quarantine/ and profile.json."""
    folder = workspace.artifacts("validate")
    with duckdb.connect() as connection:
        for table in LOG_TABLES:
            left = folder / "quarantine" / f"{table}.parquet"
            for path in (workspace.log(table), left):
                path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(workspace.table(table), workspace.log(table))
            fields = [pa.field(each.name, each.type) for each in TABLES[table]]
            schema = pa.schema([*fields, pa.field("reason", pa.string())])
            pq.write_table(schema.empty_table(), left)
            connection.read_parquet(str(workspace.log(table))).create_view(f"accepted_{table}")
        found = profile(connection, bots={"sessions": 0, "requests": 0})
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / "profile.json").write_text(text + "\n", encoding="utf-8")
