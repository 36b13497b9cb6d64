"""Clicks to judgements: which documents people wanted for a query, and which they passed over."""

import numpy as np
import pandas as pd

from perennial.data.clicks.model import ClickModel
from perennial.data.clicks.pages import Pages
from perennial.data.clicks.relevance import Relevance, estimate_relevance


def relevance_of(pages: Pages, model: ClickModel, *, confidence: float) -> Relevance:
    """The relevance of each pair under the model, with its interval."""
    errors = model.errors if model.name == "position" else None
    return estimate_relevance(pages, model.looks(pages), errors=errors, confidence=confidence)


def judge_pages(
    pages: Pages,
    model: ClickModel,
    *,
    min_examinations: float,
    min_click_rate: float,
    max_negative_rate: float,
    confidence: float,
) -> pd.DataFrame:
    """Pages and their model to judgements: query, doc_id, label, relevance, low, high, click_rate,
    examinations; sorted.

    Positive: the interval of the relevance lies above `min_click_rate`. Negative: it lies below
    `max_negative_rate`. Unsure: clicked, but neither; no training may call it a negative. Pairs
    that are none of them are left out, as are pairs with fewer expected examinations than
    `min_examinations` that were never clicked.
    """
    found = relevance_of(pages, model, confidence=confidence)
    enough = found.looks >= min_examinations
    label = np.select(
        [
            enough & (found.low >= min_click_rate),
            enough & (found.high <= max_negative_rate),
            found.clicks > 0,
        ],
        ["positive", "negative", "unsure"],
        "",
    )
    kept = np.flatnonzero((label != "") & (found.shown > 0))
    judged = pd.DataFrame(
        {
            "query": np.asarray(pages.queries, dtype=object)[pages.pair_query[kept]],
            "doc_id": pages.doc_ids[pages.pair_doc[kept]],
            "label": label[kept],
            "relevance": found.value[kept],
            "low": found.low[kept],
            "high": found.high[kept],
            "click_rate": found.clicks[kept] / found.shown[kept],
            "examinations": found.looks[kept],
        }
    )
    return judged.sort_values(["query", "label", "doc_id"]).reset_index(drop=True)
