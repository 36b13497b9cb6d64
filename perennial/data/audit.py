"""What was mined, counted again from the triplets themselves: an audit that can fail a build."""

from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtri

from perennial.data.negatives import ORIGINS

_CONFIDENCE = 0.95  # that the share is so high, before it stops a run
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def audit_triplets(
    triplets: pa.Table,
    *,
    labels: pd.DataFrame,
    twins: pd.DataFrame,
    negatives: int,
    blind: pa.Table,
    hidden: pd.DataFrame,
    limits: dict[str, float],
    examples: int,
) -> dict[str, Any]:
    """Triplets to counts, scores, examples, and whether each limit holds.

    `labels` are people's judgements (query, doc_id, label), `twins` pairs (positive, doc_id) with
    nearly the same text. What people call relevant is never mined, so that how often it would be
    is measured elsewhere: on the triplets `blind`, mined while the miner knew nothing of the
    answers `hidden` (query, doc_id). `limits` bounds `duplicates_of_positives`,
    `relevant_by_label`, `short_share`, and the lower end of the interval of `relevant_share`
    (Wilson 1927), which is None, and unbounded, where nothing was hidden.
    """
    flat = flat_negatives(triplets)
    positives = triplets.select(["query", "positive"]).to_pandas()
    answers = positives.rename(columns={"positive": "doc_id"})
    twin = positives.merge(twins, on="positive")[["query", "doc_id"]]
    taboo = pd.concat([answers, twin], ignore_index=True).drop_duplicates()
    called_relevant = labels[labels["label"] == "positive"][["query", "doc_id"]]
    mined_blind = flat_negatives(blind)
    relevant = len(mined_blind.merge(hidden[["query", "doc_id"]], on=["query", "doc_id"]))
    lengths = pc.list_value_length(triplets["negatives"]).to_numpy()
    by_query = pd.Series(lengths).groupby(positives["query"].to_numpy()).max()
    short = int((by_query < negatives).sum())
    measured: dict[str, float | None] = {
        "duplicates_of_positives": len(flat.merge(taboo, on=["query", "doc_id"])),
        "relevant_by_label": len(flat.merge(called_relevant, on=["query", "doc_id"])),
        "short_share": round(short / max(1, len(by_query)), 6),
        "relevant_share": round(relevant / len(mined_blind), 6) if len(mined_blind) else None,
    }
    bounded = measured | {"relevant_share": _surely(relevant, len(mined_blind))}
    return {
        "format_version": 1,
        "queries": len(by_query),
        "triplets": triplets.num_rows,
        "negatives": {name: int((flat["origin"] == name).sum()) for name in ORIGINS},
        "queries_short": short,
        "hidden_answers": len(hidden),
        "blind_negatives": len(mined_blind),
        "relevant_negatives": relevant,
        **measured,
        "scores": {"positive": _quantiles(triplets["positive_score"].to_numpy())}
        | {
            name: _quantiles(flat["score"][flat["origin"] == name].dropna().to_numpy())
            for name in ("log", "ann")
        },
        "examples": triplets.slice(0, examples).to_pylist(),
        "limits": {
            name: {"limit": limit, "value": value, "holds": value <= limit}
            for name, limit in limits.items()
            if (value := bounded[name]) is not None
        },
    }


def _surely(found: int, among: int) -> float | None:
    """The least share that so many found among so many speak for (Wilson 1927); None among none."""
    if not among:
        return None
    z, share = float(ndtri(_CONFIDENCE)), found / among
    centre = share + z**2 / (2 * among)
    reach = z * sqrt(share * (1 - share) / among + (z / (2 * among)) ** 2)
    return round(max((centre - reach) / (1 + z**2 / among), 0.0), 6)


def breaches(audit: dict[str, Any]) -> list[str]:
    """One clause for each limit that does not hold."""
    return [
        f"{name} is {'surely ' if name == 'relevant_share' else ''}{row['value']}, "
        f"more than {row['limit']}"
        for name, row in sorted(audit["limits"].items())
        if not row["holds"]
    ]


def flat_negatives(triplets: pa.Table) -> pd.DataFrame:
    """One row per distinct query and negative: query, doc_id, origin, score."""
    column = triplets["negatives"].combine_chunks()
    owner = pc.list_parent_indices(column).to_numpy()
    struct = column.flatten()
    flat = pd.DataFrame(
        {
            "query": triplets["query"].to_pandas().to_numpy(dtype=object)[owner],
            "doc_id": struct.field("doc_id").to_pandas().to_numpy(dtype=object),
            "origin": struct.field("origin").to_pandas().to_numpy(dtype=object),
            "score": struct.field("score").to_pandas().to_numpy(dtype=np.float64),
        }
    )
    return flat.drop_duplicates(["query", "doc_id"], ignore_index=True)


def _quantiles(scores: np.ndarray) -> dict[str, float]:
    if not len(scores):
        return {}
    values = np.quantile(scores.astype(np.float64), _QUANTILES)
    return {
        f"p{round(100 * q):02d}": round(float(v), 6)
        for q, v in zip(_QUANTILES, values, strict=True)
    }
