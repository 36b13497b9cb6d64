"""Lexical baseline, champion and candidate on the same queries: the value of comparison.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perennial.errors import BadInput
from perennial.quality.metrics import JUDGED, METRICS, Floats
from perennial.quality.paired import Interval, bootstrap_means, paired_differences

PerQuery = Mapping[str, Floats]


def compare(
    per_query: Mapping[str, PerQuery],
    *,
    slices: Sequence[str | None],
    health: Mapping[str, float],
    samples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """{system: {metric: (q,) values}} and each query's slice to plain values for JSON.

    Systems are "candidate", "champion" and, where there is one, "lexical". Raises BadInput where
    they were not asked the same number of queries.
    """
    for needed in ("champion", "candidate"):
        if needed not in per_query:
            raise BadInput(f"there are no scores of the {needed}; nothing can be compared.")
    lengths = {system: len(scores[METRICS[0]]) for system, scores in per_query.items()}
    if set(lengths.values()) != {len(slices)}:
        raise BadInput(
            f"the systems answered {lengths} of {len(slices)} queries; a paired comparison needs "
            "every query answered by all."
        )
    bootstrap = {"samples": samples, "seed": seed}
    names = (*METRICS, JUDGED)
    systems = {
        system: {
            name: _rounded(interval)
            for name, interval in zip(
                names,
                bootstrap_means(
                    np.stack([scores[name] for name in names], axis=1),
                    confidence=confidence,
                    **bootstrap,
                ),
                strict=True,
            )
        }
        for system, scores in per_query.items()
    }
    differences = {
        f"candidate-{base}": {
            name: _rounded(difference)
            | {"wins": difference.wins, "ties": difference.ties, "losses": difference.losses}
            for name, difference in paired_differences(
                {name: per_query["candidate"][name] for name in METRICS},
                {name: per_query[base][name] for name in METRICS},
                confidence=confidence,
                **bootstrap,
            ).items()
        }
        for base in ("champion", "lexical")
        if base in per_query
    }
    return {
        "format_version": 1,
        "queries": len(slices),
        "confidence": confidence,
        "systems": systems,
        "differences": differences,
        "judged": {system: systems[system][JUDGED]["value"] for system in systems},
        "slices": _by_slice(per_query, slices),
        "health": dict(health),
    }


def largest_changes(
    candidate: Floats, champion: Floats, *, examples: int
) -> tuple[list[int], list[int]]:
    """Row numbers of the queries that gained most, and that lost most; the largest first."""
    change = candidate - champion
    order = np.argsort(change, kind="stable")
    lost = [int(row) for row in order[:examples] if change[row] < 0]
    order = np.argsort(-change, kind="stable")
    gained = [int(row) for row in order[:examples] if change[row] > 0]
    return gained, lost


def _by_slice(
    per_query: Mapping[str, PerQuery], slices: Sequence[str | None]
) -> dict[str, dict[str, Any]]:
    labels = np.array(["" if name is None else name for name in slices], dtype=object)
    result = {}
    for name in sorted(set(labels) - {""}):
        rows = labels == name
        result[str(name)] = {
            "queries": int(rows.sum()),
            "ndcg@10": {
                system: round(float(scores["ndcg@10"][rows].mean()), 6)
                for system, scores in per_query.items()
            },
        }
    return result


def _rounded(interval: Interval) -> dict[str, Any]:
    """Six decimals: far below any interval's width, and free of what a BLAS may do to the last."""
    return {
        side: None if number is None else round(number, 6)
        for side, number in (
            ("value", interval.value),
            ("low", interval.low),
            ("high", interval.high),
        )
    }
