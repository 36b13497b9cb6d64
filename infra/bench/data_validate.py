"""Great Expectations on a snapshot of a million impressions, with its requests and clicks."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.__main__ import validate
from infra.bench.apart import apart
from infra.bench.click_log import RANKS, write_click_log
from infra.bench.row import Row, row
from perennial.data.schema import CATALOGUE, JUDGEMENTS
from perennial.workspace import Workspace

DOCUMENTS = 100_000
SEED = 43


def rows(home: Path, *, impressions: int) -> list[Row]:
    """One row for time, one for memory."""
    write_snapshot(home, requests=impressions // RANKS)
    done = apart(_validate, home)
    what = (
        f"validate {impressions:,} impressions, their requests and clicks, {DOCUMENTS:,} documents"
    )
    return [
        row(what, done.seconds, "s", at_most=30),
        row("the same: peak memory", done.peak_mb, "MB"),
        row("the same: promises looked at", done.answer, "promises"),
    ]


def write_snapshot(home: Path, *, requests: int) -> None:
    """A workspace whose snapshot keeps every promise."""
    folder = home / "snapshot"
    write_click_log(folder, requests=requests, queries=20_000, documents=DOCUMENTS, seed=SEED)
    (home / "params.yaml").write_bytes(Path("params.yaml").read_bytes())
    start = datetime(2026, 1, 5, tzinfo=UTC)
    names = pc.binary_join_element_wise(
        "doc-", pa.array(np.arange(DOCUMENTS)).cast(pa.string()), ""
    )
    columns = {
        "doc_id": names,
        "title": names,
        "text": pc.binary_join_element_wise(names, "tells how to do it", " "),
        "slice": pa.nulls(DOCUMENTS, pa.string()),
        "updated_at": pa.array([start] * DOCUMENTS, CATALOGUE.field("updated_at").type),
    }
    pq.write_table(pa.table(columns, schema=CATALOGUE), folder / "catalogue.parquet")
    pq.write_table(JUDGEMENTS.empty_table(), folder / "judgements.parquet")
    end = start + timedelta(seconds=requests, days=1)
    window = {side: at.isoformat() for side, at in (("start", start), ("end", end))}
    about = {"format_version": 1, "window": window, "channel": "production", "digest": "sha256:0"}
    (folder / "snapshot.json").write_text(json.dumps(about))
    none_yet = {"format_version": 1, "snapshot": None, "profile": None}
    (folder / "accepted.json").write_text(json.dumps(none_yet))


def _validate(home: Path) -> int:
    summary = validate(Workspace(home))
    return sum(table["promises"] for table in summary["tables"].values())
