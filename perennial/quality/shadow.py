"""Shadow: champion and candidate answer the same logged queries; nobody sees the candidate's.

It asks whether the candidate is sane and fast enough to be shown, not whether it is right:

    overlap    mean overlap@10       holds: low >= min_overlap        else a person should look
    latency    geometric mean of the paired ratios candidate / champion
                                     holds: low <= max_latency_ratio  else it is surely too slow

Too slow: reject. A small or unsure overlap, or too few queries for an interval: inconclusive.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from perennial.quality.decision import Decision, Evidence, Outcome
from perennial.quality.metrics import Floats, Rankings
from perennial.quality.overlap import most_different, overlap_at, rank_biased_overlap
from perennial.quality.paired import Interval, bootstrap_means


@dataclass(frozen=True)
class Shadow:
    """How alike and how fast two releases answered; latencies are medians in milliseconds."""

    queries: int
    overlap: Interval
    rank_biased_overlap: Interval
    latency_ms: dict[str, float]
    latency_ratio: Interval
    most_different: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compare_answers(
    queries: Sequence[str],
    *,
    champion: Rankings,
    candidate: Rankings,
    champion_ms: Floats,
    candidate_ms: Floats,
    persistence: float,
    examples: int,
    samples: int,
    confidence: float,
    seed: int,
) -> Shadow:
    """(q,) queries with both (q, k) answers and (q,) latencies to what there is to know of them."""
    logs = np.log(np.maximum(candidate_ms, 1e-6)) - np.log(np.maximum(champion_ms, 1e-6))
    columns = np.stack(
        [
            overlap_at(champion, candidate, 10),
            rank_biased_overlap(champion, candidate, persistence=persistence),
            logs,
        ],
        axis=1,
    )
    overlap, biased, log_ratio = bootstrap_means(
        columns, samples=samples, confidence=confidence, seed=seed
    )
    differing = most_different(
        queries, champion, candidate, persistence=persistence, examples=examples
    )
    return Shadow(
        queries=len(queries),
        overlap=overlap,
        rank_biased_overlap=biased,
        latency_ms={
            "champion": float(np.median(champion_ms)) if len(queries) else 0.0,
            "candidate": float(np.median(candidate_ms)) if len(queries) else 0.0,
        },
        latency_ratio=_exponential(log_ratio),
        most_different=tuple(
            {
                "query": item.query,
                "overlap": item.overlap,
                "rank_biased_overlap": item.rank_biased_overlap,
                "champion": [str(doc) for doc in champion[item.row] if doc is not None],
                "candidate": [str(doc) for doc in candidate[item.row] if doc is not None],
            }
            for item in differing
        ),
    )


def judge_shadow(shadow: Shadow, *, min_overlap: float, max_latency_ratio: float) -> Decision:
    """advance, inconclusive or reject, by the rule above."""
    overlap, ratio = shadow.overlap, shadow.latency_ratio
    alike = None if overlap.low is None else overlap.low >= min_overlap
    fast = None if ratio.low is None else ratio.low <= max_latency_ratio
    evidence = (
        _evidence("overlap@10", overlap, min_overlap, alike),
        _evidence("latency ratio", ratio, max_latency_ratio, fast),
    )
    outcome: Outcome
    if alike is None or fast is None:
        outcome = "inconclusive"
        reason = f"{shadow.queries} logged queries are too few for an interval; log more searches."
    elif not fast:
        outcome = "reject"
        reason = (
            f"The candidate takes {_said(ratio)} times as long as the champion; "
            f"{max_latency_ratio:g} times is the most."
        )
    elif not alike:
        outcome = "inconclusive"
        reason = (
            f"The two agree on {_said(overlap)} of their top 10, which is not surely above "
            f"{min_overlap:g}: a person should look at the most different answers."
        )
    else:
        outcome = "advance"
        reason = (
            f"On {shadow.queries} logged queries the two agree on {_said(overlap)} of their top "
            f"10, and the candidate takes {_said(ratio)} times as long."
        )
    return Decision(outcome, (reason,), evidence)


def _evidence(name: str, found: Interval, bound: float, holds: bool | None) -> Evidence:
    return Evidence(name, found.value, found.low, found.high, found.n, bound, holds)


def _exponential(interval: Interval) -> Interval:
    value, low, high = (
        None if number is None else math.exp(number)
        for number in (interval.value, interval.low, interval.high)
    )
    return Interval(value, low, high, interval.n)


def _said(interval: Interval) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"
