"""Freeze the input of one retrain: the log's usable window, catalogue, labels, champion's bytes."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.schema import LOG_TABLES, TABLES
from perennial.errors import BadInput, PlaceUnusable, TableInvalid
from perennial.model.digest import file_digest
from perennial.release.local import LocalStore
from perennial.release.materialise import materialise
from perennial.release.publish import read_checked_channel

FORMAT_VERSION = 1

# Younger requests still wait for late clicks; of the others only what belongs to them counts.
_QUERIES = {
    "requests": """
        select * from read_parquet($requests)
        where ts >= $start and ts <= $settled order by ts, request_id""",
    "impressions": """
        select i.* from read_parquet($impressions) i
        join read_parquet($requests) r using (request_id)
        where r.ts >= $start and r.ts <= $settled order by r.ts, request_id, i.rank, i.doc_id""",
    "events": """
        select e.* from read_parquet($events) e
        join read_parquet($requests) r using (request_id)
        where r.ts >= $start and r.ts <= $settled and e.ts <= $end
        order by e.ts, e.event_id""",
}


@dataclass(frozen=True)
class SnapshotInfo:
    """What a snapshot holds; equal input gives an equal `digest`."""

    digest: str
    champion: str
    rows: dict[str, int]
    start: datetime
    end: datetime


def take_snapshot(
    source: Path,
    store: LocalStore,
    channel: str,
    to: Path,
    *,
    window_days: int,
    click_window_seconds: int,
    key: bytes | None,
) -> SnapshotInfo:
    """Write snapshot tables, snapshot.json and champion/ into `to`, whole or not at all."""
    serving = read_checked_channel(store, channel, key=key)
    if serving is None:
        raise BadInput(
            f"channel {channel} serves no release to compare with; run `perennial bootstrap` first"
        )
    building = to.with_name(f".{to.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir(parents=True)
        start, end, rows = _freeze_tables(
            source,
            building,
            window=timedelta(days=window_days),
            settle=timedelta(seconds=click_window_seconds),
        )
        materialise(store, serving.stable, building / "champion", key=key)
        digests = {name: file_digest(building / f"{name}.parquet") for name in TABLES}
        whole = json.dumps([digests, serving.stable], sort_keys=True).encode()
        info = SnapshotInfo(
            digest=f"sha256:{hashlib.sha256(whole).hexdigest()}",
            champion=serving.stable,
            rows=rows,
            start=start,
            end=end,
        )
        about = {
            "format_version": FORMAT_VERSION,
            "window": {"start": _iso(start), "end": _iso(end)},
            "rows": rows,
            "digests": digests,
            "champion": serving.stable,
            "digest": info.digest,
        }
        (building / "snapshot.json").write_text(
            json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        if to.exists():
            shutil.rmtree(to)
        building.rename(to)
    except OSError as error:
        raise PlaceUnusable(f"cannot write a snapshot to {to}: {error.strerror}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return info


def read_snapshot_info(snapshot: Path) -> dict[str, Any]:
    """The value of snapshot.json; raises BadInput where there is no snapshot."""
    try:
        return dict(json.loads((snapshot / "snapshot.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{snapshot} holds no snapshot; run `perennial snapshot` first") from error


def _freeze_tables(
    source: Path, to: Path, *, window: timedelta, settle: timedelta
) -> tuple[datetime, datetime, dict[str, int]]:
    places = {name: str(source / name / "*.parquet") for name in LOG_TABLES}
    for name in LOG_TABLES:
        if not list((source / name).glob("*.parquet")):
            raise BadInput(
                f"the log is empty: {source / name} holds no parquet file; run `perennial "
                "simulate`, or import your own log with `perennial import parquet --path FOLDER`"
            )
    for name in ("catalogue", "judgements"):
        if not (source / f"{name}.parquet").exists():
            raise BadInput(
                f"{source}/{name}.parquet is missing; import a source first: "
                "perennial import apidocs"
            )
        shutil.copyfile(source / f"{name}.parquet", to / f"{name}.parquet")
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        ((latest,),) = connection.sql(
            "select max(ts) from read_parquet($requests)", params={"requests": places["requests"]}
        ).fetchall()
        if latest is None:
            raise BadInput(
                f"the log is empty: no request in {places['requests']}; run `perennial simulate`, "
                "or import your own log with `perennial import parquet --path FOLDER`"
            )
        end = latest.astimezone(UTC)
        start, settled = end - window, end - settle
        for name, query in _QUERIES.items():
            needed = {n: places[n] for n in LOG_TABLES if f"${n})" in query}
            bounds = {"start": start, "settled": settled, "end": end}
            given = {n: v for n, v in bounds.items() if f"${n}" in query}
            rows = connection.sql(query, params={**needed, **given}).to_arrow_table()
            pq.write_table(_typed(rows, name), to / f"{name}.parquet")
    counts = {name: pq.read_metadata(to / f"{name}.parquet").num_rows for name in TABLES}
    return start, end, counts


def _typed(rows: pa.Table, name: str) -> pa.Table:
    schema = TABLES[name]
    missing = [column for column in schema.names if column not in rows.column_names]
    if missing:
        raise TableInvalid(
            f"table {name} of the log lacks the column {missing[0]}; add it, or map another "
            f"name to it under source.columns.{name} in params.yaml and import again"
        )
    try:
        return rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, ValueError) as error:
        raise TableInvalid(f"table {name} of the log does not fit its schema: {error}") from error


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
