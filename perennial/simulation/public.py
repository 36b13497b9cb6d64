"""Simulated people who search: sessions, impressions and clicks by a stated user model.

A person looks at rank r with probability r**-position_decay, clicks what was looked at with
`click_if_relevant` or `click_if_not`, leaves after a click with `stop_after_click` and after any
other look with `abandon`. (The position-based model with abandonment: Craswell et al. 2008, "An
Experimental Comparison of Click Position-Bias Models"; Chuklin et al. 2015, "Click Models for Web
Search", ch. 3.) Everything is a function of the seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from perennial.errors import BadInput
from perennial.simulation.rows import event_rows, impression_rows, is_found, times

# (queries, k) to (scores, doc_ids), both (q, k); None where nothing was found.
Search = Callable[[Sequence[str], int], tuple[np.ndarray, np.ndarray]]

_GAP_SECONDS = (20.0, 120.0)  # between two requests of a session
OPENED = 0.98  # of the days: a session of their last fiftieth might not end within them
POPULARITY_SIGMA = 0.5  # of the log-normal weights of queries


@dataclass(frozen=True)
class Habits:
    """What a simulated person does; probabilities, but for the exponent and the count."""

    position_decay: float
    click_if_relevant: float
    click_if_not: float
    stop_after_click: float
    abandon: float
    max_requests: int
    explore: float


@dataclass(frozen=True)
class Log:
    """The three tables that a search service writes."""

    requests: pd.DataFrame
    impressions: pd.DataFrame
    events: pd.DataFrame


def simulate_sessions(
    search: Search,
    truth: pd.DataFrame,
    *,
    sessions: int,
    start: datetime,
    days: float,
    results: int,
    habits: Habits,
    seed: int,
    tag: str,
    channel: str,
    arm: str,
    release_id: str,
) -> Log:
    """Sessions of people whose wishes are `truth` (query, doc_id, grade) on one search engine.

    `tag` makes the ids of this log unique among all logs; requests lie within `days` from `start`,
    their clicks and dwells a few minutes behind them.
    """
    queries, relevant = wishes(truth)
    if not queries:
        raise BadInput("no query has a known answer, so nobody can be simulated; import judgements")
    generator = np.random.default_rng(seed)
    weight = np.random.default_rng([seed, 1]).lognormal(sigma=POPULARITY_SIGMA, size=len(queries))

    session = np.repeat(
        np.arange(sessions), generator.integers(1, habits.max_requests + 1, size=sessions)
    )
    asked = generator.choice(len(queries), size=len(session), p=weight / weight.sum())
    used, place = np.unique(asked, return_inverse=True)
    scores, doc_ids = search([queries[i] for i in used], results)
    wanted = np.array(
        [[d in relevant[i] for d in row] for i, row in zip(used, doc_ids, strict=True)]
    ).reshape(len(used), results)

    order, propensity, explored = _explore(
        is_found(doc_ids[place]), results, habits.explore, generator
    )
    take = (place[:, None], order)
    shown, score, is_wanted = doc_ids[take], scores[take], wanted[take]
    clicked = click(is_found(shown), is_wanted, habits, generator)

    span = days * 86_400
    opened = np.sort(generator.uniform(0, span * OPENED, size=sessions))
    gap = generator.uniform(*_GAP_SECONDS, size=len(session))
    first = np.searchsorted(session, session)
    running = np.cumsum(gap)
    seconds = np.minimum(opened[session] + running - running[first], span - 1)
    request_id = np.array([f"q-{tag}-{i:07d}" for i in range(len(session))], dtype=object)
    requests = pd.DataFrame(
        {
            "request_id": request_id,
            "session_id": [f"s-{tag}-{i:07d}" for i in session],
            "ts": times(start, seconds),
            "query": [queries[i] for i in asked],
            "channel": channel,
            "arm": arm,
            "release_id": release_id,
            "n_results": is_found(shown).sum(axis=1).astype(np.int32),
            "latency_ms": np.round(generator.lognormal(3.0, 0.3, size=len(session)), 3),
            "explored": explored,
        }
    )
    return Log(
        requests=requests,
        impressions=impression_rows(request_id, shown, score, propensity, release_id),
        events=event_rows(request_id, shown, clicked, is_wanted, seconds, start, tag, generator),
    )


def sessions_with_success(log: Log, *, dwell_seconds: float = 30.0) -> tuple[int, int]:
    """(sessions with a click that was stayed on for long, sessions): click success."""
    success = session_success(log, dwell_seconds=dwell_seconds)
    return int(success.sum()), len(success)


def session_success(log: Log, *, dwell_seconds: float = 30.0) -> np.ndarray:
    """(sessions,) bool in the order of session_id: was a click of it stayed on for long?

    With one seed, entry i is the same person with the same wishes and moods on whatever search.
    """
    long = log.events[(log.events["type"] == "dwell") & (log.events["value"] >= dwell_seconds)]
    happy = log.requests["request_id"].isin(long["request_id"])
    return happy.groupby(log.requests["session_id"], sort=True).any().to_numpy(dtype=bool)


def wishes(truth: pd.DataFrame) -> tuple[list[str], list[set[str]]]:
    """The queries that have a known answer, and the doc_ids of each one's answers."""
    wanted = truth[truth["grade"] > 0].groupby("query", sort=True)["doc_id"].apply(set)
    return list(wanted.index), list(wanted)


def _explore(
    exists: np.ndarray, results: int, explore: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, k) which results exist, to (order, propensity, explored): now and then an adjacent swap.

    The propensity is the chance that a document stands where it was shown, given the ranking.
    """
    count = len(exists)
    length = exists.sum(axis=1)
    swaps = np.maximum(length - 1, 0)
    explored = (generator.random(count) < explore) & (swaps > 0)
    pair = (generator.random(count) * swaps).astype(np.int64)
    order = np.tile(np.arange(results), (count, 1))
    rows = np.flatnonzero(explored)
    order[rows, pair[rows]] += 1
    order[rows, pair[rows] + 1] -= 1
    rank = np.arange(results)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(swaps > 0, explore / swaps, 0.0)[:, None]
    neighbours = (rank > 0).astype(int)[None, :] + (rank[None, :] < length[:, None] - 1)
    stays = 1 - each * neighbours
    moved = order != rank
    return order, np.where(moved, each, stays), explored


def click(
    exists: np.ndarray, is_wanted: np.ndarray, habits: Habits, generator: np.random.Generator
) -> np.ndarray:
    """(n, k) bool: what was clicked, walking down the ranks until the person leaves."""
    count, results = exists.shape
    clicked = np.zeros((count, results), dtype=bool)
    here = np.ones(count, dtype=bool)
    for rank in range(results):
        looks = here & exists[:, rank]
        looks &= generator.random(count) < (rank + 1) ** -habits.position_decay
        chance = np.where(is_wanted[:, rank], habits.click_if_relevant, habits.click_if_not)
        clicks = looks & (generator.random(count) < chance)
        clicked[:, rank] = clicks
        leave = np.where(clicks, habits.stop_after_click, np.where(looks, habits.abandon, 0.0))
        here &= generator.random(count) >= leave
    return clicked
