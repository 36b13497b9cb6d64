"""How well relevance from clicks agrees with what people said, beside what raw clicks say.

Correcting for position helps to predict clicks; whether it helps to agree with experts is another
question, and on Baidu-ULTR it did not (Hager et al., SIGIR 2024, "Unbiased Learning to Rank Meets
Reality"). So both stand in the report, and neither is called the other.
"""

from typing import Any

import numpy as np
import pandas as pd

from perennial.data.clicks.pages import Pages
from perennial.data.clicks.relevance import Relevance


def agreement(pages: Pages, found: Relevance, labels: pd.DataFrame) -> dict[str, Any] | None:
    """How relevance, and raw click-through, tell labelled documents from the others that were
    shown for the same queries; labels fit nothing here. None without both kinds."""
    relevant = labels[labels["grade"] > 0]
    wanted = set(zip(relevant["query"], relevant["doc_id"], strict=True))
    asked = np.isin(np.asarray(pages.queries, dtype=object), labels["query"].unique())
    rows = np.flatnonzero(asked[pages.pair_query] & (found.shown > 0))
    names = zip(pages.pair_query[rows], pages.pair_doc[rows], strict=True)
    good = np.array([(pages.queries[q], pages.doc_ids[d]) in wanted for q, d in names], dtype=bool)
    by_relevance = separation(found.value[rows], good)
    by_clicks = separation(found.clicks[rows] / found.shown[rows], good)
    if by_relevance is None or by_clicks is None:
        return None
    return {
        "pairs": len(rows),
        "relevant": int(good.sum()),
        "relevance": round(by_relevance, 6),
        "click_rate": round(by_clicks, 6),
    }


def calibrated(
    clicked: pd.DataFrame, known: pd.DataFrame, *, least: int
) -> tuple[pd.DataFrame, bool]:
    """Relevance and its bounds as shares of documents that people call relevant, where at least
    `least` pairs have both; what clicks decided of their labels stands."""
    both = clicked.merge(known[["query", "doc_id", "grade"]], on=["query", "doc_id"])
    if len(both) < least or both["grade"].gt(0).nunique() < 2:
        return clicked, False
    columns = ["relevance", "low", "high"]
    values = calibrate(
        both["relevance"].to_numpy(),
        both["grade"].to_numpy() > 0,
        at=tuple(clicked[name].to_numpy() for name in columns),
    )
    return clicked.assign(**dict(zip(columns, values, strict=True))), True


def separation(scores: np.ndarray, is_relevant: np.ndarray) -> float | None:
    """The chance that a relevant one scores above another, ties half (area under the ROC curve);
    None where there are not both kinds."""
    good = int(is_relevant.sum())
    bad = len(is_relevant) - good
    if not good or not bad:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[place]  # ties share the middle of theirs
    return float((ranks[is_relevant].sum() - good * (good + 1) / 2) / (good * bad))


def calibrate(
    scores: np.ndarray, labels: np.ndarray, *, at: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """Scores and 0/1 labels to the monotone share of positives (isotonic regression, Zadrozny and
    Elkan 2002), read off `at` each array of scores."""
    from scipy.optimize import isotonic_regression  # takes a second, and few logs have labels

    distinct, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    shares = np.bincount(place, labels.astype(float)) / counts  # ties know no order
    fitted = isotonic_regression(shares, weights=counts).x
    return tuple(np.interp(values, distinct, fitted) for values in at)
