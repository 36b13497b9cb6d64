"""Whether clicks become rarer further down the page, as they do wherever people look from the top.

The statistic is the relative fall: minus the least-squares slope of clicked (0 or 1) on rank over
all impressions of the first 20 ranks, times the distance from the first to the last of them, by the
mean click-through. Its interval comes from the jackknife over 64 groups of sessions (Efron and
Tibshirani 1993, An Introduction to the Bootstrap, section 11), with Student's t, so that clicks of
one session may depend on each other. The promise is broken only when the whole 99 % interval lies
below the least fall: a short log, or noise, never breaks it.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
from scipy.stats import t as student

GROUPS = 64
MIN_GROUPS = 16
CONFIDENCE = 0.99
_COUNTS = """
    WITH clicked AS (
        SELECT DISTINCT request_id, doc_id FROM accepted_events WHERE type = 'click')
    SELECT (hash(r.session_id) % $groups)::INTEGER AS place, i.rank,
           count(*) AS impressions, count(c.doc_id) AS clicks
    FROM accepted_impressions i JOIN accepted_requests r USING (request_id)
    LEFT JOIN clicked c ON c.request_id = i.request_id AND c.doc_id = i.doc_id
    WHERE i.rank BETWEEN 1 AND 20 GROUP BY ALL ORDER BY ALL"""


@dataclass(frozen=True)
class Fall:
    """The relative fall of click-through with its interval, and what it was told from."""

    ranks: int
    impressions: int
    clicks: int
    fall: float
    low: float
    high: float


def click_fall(connection: duckdb.DuckDBPyConnection) -> Fall | str:
    """The fall in the accepted log, or why it cannot be told."""
    rows = connection.execute(_COUNTS, {"groups": GROUPS}).fetchall()
    if not rows:
        return "no document was shown"
    places, ranks, shown, clicks = np.array(rows, dtype=np.int64).T
    impressions, clicked = (np.zeros((GROUPS, int(ranks.max())), dtype=np.int64) for _ in range(2))
    impressions[places, ranks - 1], clicked[places, ranks - 1] = shown, clicks
    return fall_of(impressions, clicked)


def fall_of(impressions: np.ndarray, clicks: np.ndarray) -> Fall | str:
    """(groups, ranks) counts to their fall, or why it cannot be told."""
    there = impressions.any(axis=1)
    shown, clicked = impressions[there], clicks[there]
    if shown.shape[1] < 2:
        return "every page showed one document"
    if len(shown) < MIN_GROUPS:
        return f"the sessions make {len(shown)} groups, and {MIN_GROUPS} are needed"
    without_shown, without_clicked = shown.sum(0) - shown, clicked.sum(0) - clicked
    if not without_clicked.sum(axis=1).all():
        return "there are too few clicks"
    fall = float(_fall(shown.sum(0)[None], clicked.sum(0)[None])[0])
    left_out = _fall(without_shown, without_clicked)
    groups = len(shown)
    error = np.sqrt((groups - 1) / groups * np.sum((left_out - left_out.mean()) ** 2))
    reach = float(student.ppf(0.5 + CONFIDENCE / 2, groups - 1) * error)
    return Fall(
        ranks=shown.shape[1],
        impressions=int(shown.sum()),
        clicks=int(clicked.sum()),
        fall=round(fall, 6),
        low=round(fall - reach, 6),
        high=round(fall + reach, 6),
    )


def _fall(impressions: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """(n, ranks) counts to (n,) relative falls; 0 where all impressions have one rank."""
    rank = np.arange(1, impressions.shape[1] + 1)
    total = impressions.sum(axis=1, keepdims=True)
    away = rank - (impressions * rank).sum(axis=1, keepdims=True) / total
    spread = (impressions * away**2).sum(axis=1)
    slope = (away * clicks).sum(axis=1) / np.where(spread > 0, spread, np.inf)
    return -slope * (len(rank) - 1) * total[:, 0] / clicks.sum(axis=1)
