"""Two releases' answers to the same queries, compared without knowing which one is right."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from perennial.quality.metrics import Floats, Rankings, as_table
from perennial.quality.overlap import most_different, overlap_at, rank_biased_overlap
from perennial.quality.paired import Interval, bootstrap_means
from perennial.quality.shares import wilson

SIDES = ("champion", "candidate")


@dataclass(frozen=True)
class Alike:
    """How alike, how full and how fast two releases answered; latencies are medians in
    milliseconds, differences are candidate - champion, query by query.

    `score_shift` is of the mean score of an answer's documents, over queries that both answered;
    `score_shift_sd` is the same in standard deviations of the champion's.
    """

    queries: int
    overlap: Interval
    rank_biased_overlap: Interval
    score_shift: Interval
    score_shift_sd: float | None
    zero_results: dict[str, Interval]  # the share of each side, and their difference
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
    champion_scores: Floats,
    candidate_scores: Floats,
    champion_ms: Floats,
    candidate_ms: Floats,
    persistence: float,
    examples: int,
    samples: int,
    confidence: float,
    seed: int,
) -> Alike:
    """(q,) queries with both (q, k) answers and scores and (q,) latencies to what there is to know.

    NaN is a score below an answer's end, and a latency that was not measured: then the query is
    left out of that comparison. Overlap is at 10; rank-biased overlap is extrapolated.
    """
    how: dict[str, Any] = {"samples": samples, "seed": seed}
    empty = [~(as_table(side) != None).any(axis=1) for side in (champion, candidate)]  # noqa: E711
    columns = np.stack(
        [
            overlap_at(champion, candidate, 10),
            rank_biased_overlap(champion, candidate, persistence=persistence),
            empty[1].astype(np.float64) - empty[0],
        ],
        axis=1,
    )
    overlap, biased, emptier = bootstrap_means(columns, confidence=confidence, **how)
    shares = [wilson(int(side.sum()), len(queries), confidence=confidence) for side in empty]
    both = ~empty[0] & ~empty[1]
    means = [np.nanmean(side[both], axis=1) for side in (champion_scores, candidate_scores)]
    (shift,) = bootstrap_means((means[1] - means[0])[:, None], confidence=confidence, **how)
    timed = np.isfinite(champion_ms) & np.isfinite(candidate_ms)
    times = [np.maximum(side[timed], 1e-6) for side in (champion_ms, candidate_ms)]
    (ratio,) = bootstrap_means(
        (np.log(times[1]) - np.log(times[0]))[:, None], confidence=confidence, **how
    )
    differing = most_different(
        queries, champion, candidate, persistence=persistence, examples=examples
    )
    return Alike(
        queries=len(queries),
        overlap=overlap,
        rank_biased_overlap=biased,
        score_shift=shift,
        score_shift_sd=_in_deviations(shift.value, means[0]),
        zero_results={**dict(zip(SIDES, shares, strict=True)), "difference": emptier},
        latency_ms={
            side: float(np.median(spent)) if len(spent) else 0.0
            for side, spent in zip(SIDES, times, strict=True)
        },
        latency_ratio=_exponential(ratio),
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


def _in_deviations(shift: float | None, champion: Floats) -> float | None:
    spread = float(champion.std()) if len(champion) > 1 else 0.0
    return None if shift is None or spread == 0.0 else shift / spread


def _exponential(interval: Interval) -> Interval:
    value, low, high = (
        None if number is None else math.exp(number)
        for number in (interval.value, interval.low, interval.high)
    )
    return Interval(value, low, high, interval.n)
