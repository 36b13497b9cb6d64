"""A folder in the layout of BEIR (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/*.tsv."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from perennial.errors import BadInput


def read_beir(folder: Path, *, updated_at: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(catalogue, truth): the corpus, and every positive judgement of all of qrels/*.tsv.

    Its splits are not used: which query is held out is decided by the hash of its words, as it is
    for every source, so that two queries that ask the same never fall on two sides. Raises BadInput
    naming the file and line that is not as BEIR has it.
    """
    catalogue = pd.DataFrame(
        [
            (str(row["_id"]), row.get("title") or "", row["text"], _segment(row), updated_at)
            for row in _lines(folder, "corpus.jsonl")
        ],
        columns=["doc_id", "title", "text", "slice", "updated_at"],
    )
    texts = {str(row["_id"]): row["text"] for row in _lines(folder, "queries.jsonl")}
    files = sorted((folder / "qrels").glob("*.tsv"))
    if not files:
        raise BadInput(f"{folder}/qrels holds no .tsv file; give a folder in the BEIR layout")
    qrels = pd.concat([_qrels(path) for path in files])
    # Judged twice, the better grade counts.
    qrels = qrels.sort_values("score", ascending=False, kind="stable")
    qrels = qrels.drop_duplicates(["query-id", "corpus-id"])
    unknown = qrels.loc[~qrels["query-id"].isin(list(texts)), "query-id"]
    if len(unknown):
        raise BadInput(
            f"{folder}/qrels judges {len(unknown)} times a query that queries.jsonl does not have "
            f"(first: {unknown.iloc[0]!r}); add them, or remove those lines"
        )
    truth = pd.DataFrame(
        {
            "query": qrels["query-id"].map(texts),
            "doc_id": qrels["corpus-id"],
            "grade": qrels["score"].clip(0, 3),
        }
    )
    truth = truth[truth["grade"] > 0].drop_duplicates(["query", "doc_id"])
    return catalogue, truth.sort_values(["query", "doc_id"]).reset_index(drop=True)


def _segment(row: dict[str, Any]) -> str | None:
    about = row.get("metadata")
    return about.get("segment") if isinstance(about, dict) else None


def _qrels(path: Path) -> pd.DataFrame:
    names = {"query-id": str, "corpus-id": str, "score": int}
    try:
        return pd.read_csv(
            path,
            sep="\t",
            dtype=names,
            usecols=list(names),
            keep_default_na=False,  # an id may be "NA", and hold quotes
            quoting=csv.QUOTE_NONE,
        )
    except ValueError as error:
        raise BadInput(
            f"{path} is not a table of query-id, corpus-id and score with tabs between: {error}"
        ) from error


def _lines(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    path = folder / name
    if not path.exists():
        path = folder / f"{name}.gz"
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else Path.open)(path, "rt", encoding="utf-8") as f:
            for line in f:
                number += 1
                if line.strip():
                    yield _row(line, place=f"{path}, line {number}")
    except FileNotFoundError as error:
        raise BadInput(
            f"{folder / name} (or {name}.gz) is missing; give a folder in the BEIR layout"
        ) from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read after line {number}: {error}; fetch the file again"
        ) from error


def _row(line: str, *, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{place} is not JSON: {error}") from error
    if not isinstance(row, dict) or not {"_id", "text"} <= row.keys():
        raise BadInput(f"{place} is no object with _id and text")
    if not isinstance(row["text"], str):
        raise BadInput(f"{place} has a text that is {row['text']!r}; give a string, or drop it")
    return row
