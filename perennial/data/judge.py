"""Clicks to judgements: which documents people wanted for a query, and which they passed over."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy.stats import norm

from perennial.errors import BadInput

# A person who clicked at rank r has looked at ranks 1 to r (Joachims et al. 2005, "Accurately
# Interpreting Clickthrough Data": skip-above); what lies below, and requests without a click,
# say nothing about single documents and are not counted. The rate is biased upwards for documents
# that mostly stood last among the clicked: their own click is what says that they were looked at.
_EXAMINED = """
with clicks as (
    select distinct request_id, doc_id from read_parquet($events) where type = 'click'
),
last_click as (
    select i.request_id, max(i.rank) as rank
    from read_parquet($impressions) i join clicks using (request_id, doc_id)
    group by i.request_id
)
select r.query, i.doc_id,
       count(*) as examinations,
       count(c.doc_id) as clicks
from read_parquet($impressions) i
join last_click l on l.request_id = i.request_id and i.rank <= l.rank
join read_parquet($requests) r on r.request_id = i.request_id
left join clicks c on c.request_id = i.request_id and c.doc_id = i.doc_id
group by r.query, i.doc_id
order by r.query, i.doc_id
"""


def count_examinations(*, requests: Path, impressions: Path, events: Path) -> pd.DataFrame:
    """Log files to (query, doc_id, examinations, clicks), one row a pair, sorted."""
    files = {"requests": requests, "impressions": impressions, "events": events}
    for path in files.values():
        if not path.is_file():
            raise BadInput(f"{path} is missing; run `perennial snapshot` first")
    with duckdb.connect() as connection:
        names = {table: str(path) for table, path in files.items()}
        counts: pd.DataFrame = connection.sql(_EXAMINED, params=names).df()
    return counts


def wilson_bounds(
    successes: np.ndarray, trials: np.ndarray, *, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) counts to the (low, high) of the Wilson score interval (Wilson 1927); trials >= 1."""
    z = float(norm.ppf(0.5 + confidence / 2))
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    # Rounding may step just outside, and a bound of exactly 0 or 1 would then be missed.
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return np.clip(low, 0.0, share), np.clip(high, share, 1.0)


def judge_clicks(
    counts: pd.DataFrame,
    *,
    min_examinations: int,
    min_click_rate: float,
    max_negative_rate: float,
    confidence: float,
) -> pd.DataFrame:
    """Counts to judgements: query, doc_id, label, click_rate, low, high, examinations.

    Positive: the interval's lower bound reaches `min_click_rate`. Negative: its upper bound stays
    below `max_negative_rate`. Unsure: clicked, but neither; no training may call it a negative.
    Pairs that are none of them are left out, as are pairs seen less than `min_examinations` times
    and never clicked.
    """
    seen = counts
    trials = seen["examinations"].to_numpy(dtype=float)
    clicks = seen["clicks"].to_numpy(dtype=float)
    low, high = wilson_bounds(clicks, trials, confidence=confidence)
    label = np.select(
        [
            (trials >= min_examinations) & (low >= min_click_rate),
            (trials >= min_examinations) & (high <= max_negative_rate),
            clicks > 0,
        ],
        ["positive", "negative", "unsure"],
        "",
    )
    judged = pd.DataFrame(
        {
            "query": seen["query"].to_numpy(),
            "doc_id": seen["doc_id"].to_numpy(),
            "label": label,
            "click_rate": clicks / trials,
            "low": low,
            "high": high,
            "examinations": seen["examinations"].to_numpy(dtype=np.int64),
        }
    )
    judged = judged[judged["label"] != ""]
    return judged.sort_values(["query", "label", "doc_id"]).reset_index(drop=True)
