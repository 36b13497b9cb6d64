"""A folder in the layout of BEIR (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/*.tsv."""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

import pandas as pd

from perennial.errors import BadInput


def read_beir(folder: Path, *, updated_at: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(catalogue, truth): the corpus, and every positive judgement of all of qrels/*.tsv.

    Its splits are not used: which query is held out is decided by the hash of its words, as it is
    for every source, so that two queries that ask the same never fall on two sides.
    """
    catalogue = pd.DataFrame(
        [
            (
                str(row["_id"]),
                row.get("title") or "",
                row["text"],
                (row.get("metadata") or {}).get("segment"),
                updated_at,
            )
            for row in _lines(folder, "corpus.jsonl")
        ],
        columns=["doc_id", "title", "text", "slice", "updated_at"],
    )
    texts = {str(row["_id"]): row["text"] for row in _lines(folder, "queries.jsonl")}
    files = sorted((folder / "qrels").glob("*.tsv"))
    if not files:
        raise BadInput(f"{folder}/qrels holds no .tsv file; give a folder in the BEIR layout")
    qrels = pd.concat(
        [pd.read_csv(f, sep="\t", dtype={"query-id": str, "corpus-id": str}) for f in files]
    ).drop_duplicates(["query-id", "corpus-id"])
    truth = pd.DataFrame(
        {
            "query": qrels["query-id"].map(texts),
            "doc_id": qrels["corpus-id"],
            "grade": qrels["score"].clip(0, 3),
        }
    ).dropna()
    truth = truth[truth["grade"] > 0].drop_duplicates(["query", "doc_id"])
    return catalogue, truth.sort_values(["query", "doc_id"]).reset_index(drop=True)


def _lines(folder: Path, name: str) -> Iterator[dict]:
    plain, packed = folder / name, folder / f"{name}.gz"
    path = plain if plain.exists() else packed
    try:
        stream: IO[str] = (
            gzip.open(path, "rt", encoding="utf-8") if path == packed else path.open(encoding="utf-8")
        )
    except OSError as error:
        raise BadInput(f"{plain} (or {name}.gz) is missing; give a folder in the BEIR layout") from error
    with stream:
        for number, line in enumerate(stream, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise BadInput(f"{path}, line {number} is not JSON: {error}") from error
