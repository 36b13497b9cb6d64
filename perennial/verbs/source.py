"""The source folder: where the catalogue, the labels and the logs of the world lie."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from perennial.data.schema import LOG_TABLES, TABLES
from perennial.data.sources.apidocs import read_apidocs
from perennial.data.sources.beir import read_beir
from perennial.data.sources.parquet import read_parquet_tables
from perennial.data.split import is_held_out
from perennial.data.tables import read_table, write_table
from perennial.errors import BadInput, PlaceUnusable

_MARK = "source.json"
KINDS = ("apidocs", "beir", "parquet")


def import_source(
    kind: str,
    *,
    path: Path | None,
    to: Path,
    updated_at: datetime,
    columns: dict[str, dict[str, str]],
    held_out_share: float,
    salt: str,
) -> dict[str, int]:
    """Fill the source folder; {table: rows}. A source with known answers keeps them for the
    simulated public (truth) and hands out only those of held-out queries (judgements)."""
    if kind not in KINDS:
        raise BadInput(f"{kind!r} is no source; choose one of {', '.join(KINDS)}")
    if kind != "apidocs" and path is None:
        raise BadInput(f"source {kind} needs a folder: perennial import {kind} --path FOLDER")
    _claim(to, kind)
    if kind == "parquet" and path is not None:
        tables = read_parquet_tables(path, columns=columns)
        if "judgements" not in tables and not (to / "judgements.parquet").exists():
            tables["judgements"] = TABLES["judgements"].empty_table().to_pandas()
    else:
        if kind == "apidocs":
            catalogue, truth = read_apidocs(updated_at=updated_at)
        else:
            assert path is not None
            catalogue, truth = read_beir(path, updated_at=updated_at)
        slices = catalogue.drop_duplicates("doc_id").set_index("doc_id")["slice"]
        held = is_held_out(truth["query"].tolist(), share=held_out_share, salt=salt)
        judgements = truth[held].assign(slice=truth["doc_id"][held].map(slices))
        tables = {"catalogue": catalogue, "judgements": judgements, "truth": truth}
    if tables["catalogue"].empty:
        raise BadInput(f"the catalogue of source {kind} is empty; there is nothing to search")
    _mark(to, kind)
    # The requests come last, since only they make the rest of a log count.
    for name in sorted(tables, key=lambda name: name == "requests"):
        path = to / name / "imported.parquet" if name in LOG_TABLES else to / f"{name}.parquet"
        _put(tables[name], path, table=name)
    return {name: len(rows) for name, rows in tables.items()}


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format_version": 1, "kind": kind}) + "\n"
        (folder / _MARK).write_text(text, encoding="utf-8")
    except OSError as error:
        raise PlaceUnusable(
            f"cannot write to {folder}: {error.strerror}; free or change it"
        ) from error


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
    files = log_files(source, "requests")
    if not files:
        return None
    latest = max(pq.read_table(f, columns=["ts"])["ts"].to_pandas().max() for f in files)
    return None if pd.isna(latest) else latest.to_pydatetime()


def log_files(source: Path, table: str) -> Sequence[Path]:
    """The files of one log table, oldest name first."""
    return sorted((source / table).glob("*.parquet"))


def read_catalogue(source: Path) -> pd.DataFrame:
    """The documents; raises BadInput where nothing was imported yet, or nothing but the header."""
    path = source / "catalogue.parquet"
    if not path.exists():
        raise BadInput(f"{path} is missing; import a source first: perennial import apidocs")
    catalogue = read_table(path)
    if catalogue.empty:
        raise BadInput(
            f"the catalogue is empty: {path} has no row; export its documents and run "
            "`perennial import` again"
        )
    return catalogue


def read_truth(source: Path) -> pd.DataFrame:
    """(query, doc_id, grade): what simulated people want. Not part of any snapshot."""
    path = source / "truth.parquet"
    if not path.exists():
        raise BadInput(
            f"{path} is missing: people can only be simulated where the answers are known; run "
            "`perennial import apidocs`, or collect a real log"
        )
    return read_table(path).astype({"grade": np.int64})
