"""The true answers of the training queries, as the labels' side is told them, and how many of them
the clicks' side heard of."""

from pathlib import Path

import numpy as np
import pandas as pd

from perennial.data.split import is_held_out
from perennial.params.whole import Params
from perennial.workspace import Workspace


def known_answers(source: Path, params: Params) -> pd.DataFrame:
    """The true answers of the training queries, which only the labels' side may see."""
    from perennial.verbs.source import read_truth

    truth = read_truth(source)
    held = is_held_out(
        truth["query"].tolist(), share=params.split.held_out_share, salt=params.split.salt
    )
    return truth[~held & (truth["grade"].to_numpy() > 0)]


def as_judgements(known: pd.DataFrame) -> pd.DataFrame:
    """True answers in the form in which the stage judge hands on its own."""
    rows = pd.DataFrame(
        {
            "query": known["query"],
            "doc_id": known["doc_id"],
            "label": "positive",
            "relevance": 1.0,
            "low": np.nan,
            "high": np.nan,
            "click_rate": np.nan,
            "examinations": 0.0,
            "source": "label",
        }
    )
    return rows.sort_values(["query", "label", "doc_id"]).reset_index(drop=True)


def learned(workspace: Workspace, known: pd.DataFrame) -> tuple[float, float, float, float]:
    """Of the true answers the share shown; of the queries that with a positive; the positives'
    precision and recall."""
    requests = pd.read_parquet(workspace.log("requests"), columns=["request_id", "query"])
    shown = pd.read_parquet(workspace.log("impressions"), columns=["request_id", "doc_id"])
    seen = shown.merge(requests, on="request_id").drop_duplicates(["query", "doc_id"])
    judged = pd.read_parquet(workspace.artifacts("judge") / "judgements.parquet")
    positives = judged[judged["label"] == "positive"]
    pairs = ["query", "doc_id"]
    right = len(positives.merge(known, on=pairs))
    return (
        len(seen.merge(known, on=pairs)) / len(known),
        positives["query"].nunique() / known["query"].nunique(),
        right / max(len(positives), 1),
        right / len(known),
    )
