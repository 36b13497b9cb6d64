"""The source folder: where the catalogue, the labels and the logs of the world lie."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.catalogue import lacks_column
from perennial.data.schema import CATALOGUE, LOG_TABLES, TABLES
from perennial.data.sources.apidocs import read_apidocs
from perennial.data.sources.beir import read_beir
from perennial.data.sources.days import newest, part_files
from perennial.data.sources.parquet import Columns, copy_table, find_tables
from perennial.data.split import is_held_out
from perennial.data.streams import write_stream
from perennial.data.tables import read_table, write_table
from perennial.errors import BadInput, PlaceUnusable
from perennial.verbs.arriving import arriving, settle
from perennial.verbs.fetching import brought, drop_fetched

_MARK = "source.json"
KINDS = ("apidocs", "beir", "parquet")


def import_source(
    kind: str,
    *,
    path: str | Path | None,
    to: Path,
    updated_at: datetime,
    columns: Columns,
    held_out_share: float,
    salt: str,
) -> dict[str, int]:
    """Fill the source folder; {table: rows}. A source with known answers keeps them for the
    simulated public (truth) and hands out only those of held-out queries (judgements)."""
    if kind not in KINDS:
        raise BadInput(f"{kind!r} is no source; choose one of {', '.join(KINDS)}")
    if kind != "apidocs" and path is None:
        raise BadInput(f"source {kind} needs a folder: perennial import {kind} --path FOLDER")
    settle(to)
    _claim(to, kind)
    drop_fetched(beside=to)
    if kind == "parquet":
        with brought(str(path), beside=to) as folder:
            return _import_parquet(folder, to, columns=columns)
    if kind == "apidocs":
        catalogue, truth = read_apidocs(updated_at=updated_at)
    else:
        assert path is not None
        catalogue, truth = read_beir(Path(path), updated_at=updated_at)
    _check_catalogue(len(catalogue), kind)
    slices = catalogue.drop_duplicates("doc_id").set_index("doc_id")["slice"]
    held = is_held_out(truth["query"].tolist(), share=held_out_share, salt=salt)
    judgements = truth[held].assign(slice=truth["doc_id"][held].map(slices))
    tables = {"catalogue": catalogue, "judgements": judgements, "truth": truth}
    with arriving(to) as incoming:
        _mark(incoming, kind)
        for name, frame in tables.items():
            _put(frame, incoming / f"{name}.parquet", table=name)
    return {name: len(frame) for name, frame in tables.items()}


def _import_parquet(folder: Path, to: Path, *, columns: Columns) -> dict[str, int]:
    """Copy the tables, batch by batch, since a log may be larger than memory."""
    found, rows = find_tables(folder, columns=columns), {}
    with arriving(to) as incoming:
        _mark(incoming, "parquet")
        for name, files in found.items():
            path = incoming / f"{name}.parquet"
            if name in LOG_TABLES:
                path = incoming / name / "imported.parquet"
                path.parent.mkdir()
            rows[name] = copy_table(name, files, path, columns=columns)
        _check_catalogue(rows["catalogue"], "parquet")
        if "judgements" not in found and not (to / "judgements.parquet").exists():
            rows["judgements"] = write_stream(
                [], incoming / "judgements.parquet", table="judgements"
            )
    return rows


def _check_catalogue(rows: int, kind: str) -> None:
    if not rows:
        raise BadInput(f"the catalogue of source {kind} is empty; there is nothing to search")


def _claim(folder: Path, kind: str) -> None:
    """Raises BadInput where the folder holds another kind of world: two must not mix."""
    mark = folder / _MARK
    if mark.exists():
        known = json.loads(mark.read_text(encoding="utf-8"))["kind"]
        if known != kind:
            raise BadInput(
                f"{folder} holds the source {known}, with its own log and answers; set "
                f"PERENNIAL_HOME (or PERENNIAL_SOURCE) to another folder to import {kind}"
            )


def _mark(folder: Path, kind: str) -> None:
    text = json.dumps({"format_version": 1, "kind": kind}) + "\n"
    (folder / _MARK).write_text(text, encoding="utf-8")


def append_log(source: Path, tag: str, tables: dict[str, pd.DataFrame]) -> None:
    """Add one file per log table; the requests come last, since only they make the rest count."""
    for name in ("events", "impressions", "requests"):
        _put(tables[name], source / name / f"{tag}.parquet", table=name)


def _put(rows: pd.DataFrame, path: Path, *, table: str) -> None:
    """The rows at `path`, whole or not at all; raises PlaceUnusable."""
    try:
        if table in TABLES:
            write_table(rows, path, table=table)
        else:  # truth is no part of any snapshot and has no schema
            beside = path.with_suffix(".partial")
            rows.to_parquet(beside, index=False)
            beside.replace(path)
    except OSError as error:
        raise PlaceUnusable(
            f"cannot write {path}: {error.strerror or error}; make the folder writable or free "
            "some space, then run the same command again"
        ) from error


def last_request(source: Path) -> datetime | None:
    """The time of the youngest logged request; None where there is no log yet."""
    settle(source)
    files = part_files(source / "requests")
    times = [pc.max(pq.read_table(f, columns=["ts"])["ts"]).as_py() for f in newest(files)]
    return max((time for time in times if time is not None), default=None)


def read_catalogue(source: Path) -> pd.DataFrame:
    """The documents; raises BadInput where nothing was imported yet, or nothing but the header, and
    TableInvalid where a column lacks that may not be null."""
    settle(source)
    path = source / "catalogue.parquet"
    if not path.exists():
        raise BadInput(f"{path} is missing; import a source first: perennial import apidocs")
    catalogue = read_table(path)
    if catalogue.empty:
        raise BadInput(
            f"the catalogue is empty: {path} has no row; export its documents and run "
            "`perennial import` again"
        )
    for field in CATALOGUE:
        if field.name in catalogue.columns:
            continue
        if not field.nullable:
            raise lacks_column(path, field.name)
        catalogue[field.name] = None
    return catalogue


def read_truth(source: Path) -> pd.DataFrame:
    """(query, doc_id, grade): what simulated people want. Not part of any snapshot."""
    settle(source)
    path = source / "truth.parquet"
    if not path.exists():
        raise BadInput(
            f"{path} is missing: people can only be simulated where the answers are known; run "
            "`perennial import apidocs`, or collect a real log"
        )
    return read_table(path).astype({"grade": np.int64})
