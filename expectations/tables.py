"""A snapshot as validate reads it: whatever the files hold, before anything is believed."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.schema import TABLES
from perennial.errors import BadInput, PlaceUnusable, TableInvalid

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Found:
    """A parquet file as it describes itself."""

    path: Path
    schema: pa.Schema
    rows: int


@dataclass(frozen=True)
class Snapshot:
    """The tables as found, and the window that the log must lie in."""

    tables: dict[str, Found]
    start: datetime
    end: datetime
    digest: str


def read_snapshot(folder: Path) -> Snapshot:
    """The folder `perennial snapshot` wrote; raises PlaceUnusable, TableInvalid or BadInput."""
    path = folder / "snapshot.json"
    try:
        about = json.loads(_bytes(path))
        version = about["format_version"]
        window = about["window"]
        start, end = (datetime.fromisoformat(window[side]) for side in ("start", "end"))
        digest, _ = str(about["digest"]), str(about["channel"])  # which index asks for, much later
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is not a snapshot's description ({type(error).__name__}: {error}); "
            "run `perennial snapshot` to take a new one."
        ) from error
    if version != FORMAT_VERSION:
        raise BadInput(
            f"{path} has format_version {version!r}, this version reads {FORMAT_VERSION}; "
            "run `perennial snapshot` to take a new one."
        )
    if start.tzinfo is None or end.tzinfo is None or start > end:
        raise BadInput(
            f"{path} has the window {start} to {end}, which is no span of UTC times; "
            "run `perennial snapshot` to take a new one."
        )
    tables = {table: read_table(folder / f"{table}.parquet") for table in TABLES}
    return Snapshot(tables=tables, start=start, end=end, digest=digest)


def read_table(path: Path) -> Found:
    """What a parquet file says of itself, no row of it; raises PlaceUnusable or TableInvalid."""
    try:
        with path.open("rb") as file:
            about = pq.ParquetFile(file)
            return Found(path, about.schema_arrow, about.metadata.num_rows)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise TableInvalid(
            f"{path} is no readable parquet file ({reason}); run `perennial snapshot` again."
        ) from error
    except OSError as error:
        if error.strerror and error.errno:
            raise _unreadable(path, error) from error
        raise TableInvalid(
            f"{path} is no readable parquet file ({error}); run `perennial snapshot` again."
        ) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> PlaceUnusable:
    return PlaceUnusable(
        f"cannot read {path}: {error.strerror}; run `perennial snapshot` first, "
        "in the folder that you call this from."
    )
