"""The gate's single checks: each one comparison with a bound, said in a sentence."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perennial.errors import BadInput
from perennial.quality.decision import Evidence
from perennial.quality.metrics import TITLES

HEALTH = {  # sentence, and how its figure is written
    "ann_recall@10": ("The index finds {} of what exact search finds in the top 10", ".1%"),
    "coverage": ("The index holds {} of the catalogue", ".1%"),
    "self_retrieval": ("{} of sampled documents are found by their own vector", ".1%"),
    "imbalance": ("The index's lists are uneven by {} (1 is even)", ".2f"),
    "effective_rank": ("The embeddings have an effective rank of {}", ".1f"),
}


@dataclass(frozen=True)
class Check:
    """Evidence and the sentence that explains it."""

    evidence: Evidence
    reason: str

    @classmethod
    def of(
        cls,
        name: str,
        interval: Mapping[str, Any],
        bound: float,
        holds: bool | None,
        comparison: Mapping[str, Any],
        reason: str,
    ) -> "Check":
        """A check of an interval over the comparison's queries."""
        value, low, high = interval["value"], interval["low"], interval["high"]
        n = int(comparison["queries"])
        return cls(Evidence(name, value, low, high, n, bound, holds), reason)


def loss(
    difference: Mapping[str, Any],
    metric: str,
    against: str,
    margin: float,
    comparison: Mapping[str, Any],
) -> Check:
    """Non-inferiority: holds where the candidate surely loses no more than the margin."""
    low, high = difference["low"], difference["high"]
    other = {"lexical": "the lexical baseline"}.get(against, f"the {against}")
    if low is None or high is None:
        holds, verdict = None, "nothing can be said of a loss"
    elif low >= -margin:
        holds, verdict = True, f"a loss of more than {margin:.3f} is ruled out"
    elif high < -margin:
        holds, verdict = False, f"more is lost than the {margin:.3f} that is allowed"
    else:
        holds, verdict = None, f"a loss of more than {margin:.3f} cannot be ruled out"
    name = metric if against == "champion" else f"{metric} against {against}"
    title, change = TITLES.get(metric, metric), shown(difference, comparison)
    sentence = f"{title} against {other} {change}: {verdict}."
    return Check.of(name, difference, -margin, holds, comparison, sentence)


def shown(difference: Mapping[str, Any], comparison: Mapping[str, Any]) -> str:
    """A difference in words, with its interval and how many queries it rests on."""
    queries = f"{comparison['queries']} queries"
    if difference["low"] is None or difference["high"] is None:
        return f"has no interval, from {queries}"
    rounded = round(difference["value"], 3)
    moved = f"rose by {rounded:.3f}" if rounded > 0 else f"fell by {-rounded:.3f}"
    moved = moved if rounded else "did not move"
    return (
        f"{moved} [{difference['low']:+.3f}, {difference['high']:+.3f}] "
        f"at {comparison['confidence']:.0%} on {queries}"
    )


def evidence_of_labels(
    comparison: Mapping[str, Any], *, min_queries: int, min_judged: float, judged_gap: float
) -> Iterator[Check]:
    """Whether there are enough queries, and enough and equal enough labels: holds or unknown."""
    for key in ("queries", "judged", "confidence"):
        if key not in comparison:
            raise BadInput(f"comparison.json has no {key}; evaluate again.")
    n, judged = int(comparison["queries"]), comparison["judged"]
    enough = True if n >= min_queries else None
    yield Check(
        Evidence("queries", float(n), None, None, n, float(min_queries), enough),
        f"{n} held-out queries were compared and {min_queries} are needed.",
    )
    for system in ("champion", "candidate"):
        if system not in judged:
            raise BadInput(f"comparison.json has no judged.{system}; evaluate again.")
    for system, share in judged.items():
        enough = True if _is_number(share) and share >= min_judged else None
        yield Check(
            Evidence(f"judged@10 {system}", share, None, None, n, min_judged, enough),
            f"Of the {system}'s top 10 a share of {_number(share)} is judged and "
            f"{min_judged:.3f} is needed: labels are too thin to compare by.",
        )
    for system in (name for name in judged if name != "candidate"):
        ours, theirs = judged["candidate"], judged[system]
        known = _is_number(ours) and _is_number(theirs)
        gap = abs(ours - theirs) if known else None
        fair = True if gap is not None and gap <= judged_gap else None
        yield Check(
            Evidence(f"judged@10 gap to {system}", gap, None, None, n, judged_gap, fair),
            f"Of the top 10 a share of {_number(ours)} is judged for the candidate and "
            f"{_number(theirs)} for the {system}; further apart than {judged_gap:.3f}, the labels "
            "favour one of them.",
        )


def threshold(
    health: Mapping[str, Any],
    name: str,
    bound: float,
    comparison: Mapping[str, Any],
    *,
    is_most: bool = False,
) -> Check:
    """A health figure against the least, or most, it may be; unknown where it was not measured."""
    if name not in health:
        raise BadInput(f"comparison.json has no health.{name}; run the stage index again.")
    value = health[name] if _is_number(health[name]) else None
    # Coverage and recall are shares of counts: a bound of 1 must not fall to rounding.
    sign = -1 if is_most else 1
    holds = None if value is None else sign * value >= sign * bound - 1e-9
    wrong = "too much" if is_most else "too little"
    verdict = {True: "within it" if is_most else "enough", False: wrong, None: "not measured"}[
        holds
    ]
    asked = "at most" if is_most else "at least"
    words, style = HEALTH[name]
    figure = "an unknown share" if value is None else format(value, style)
    sentence = f"{words.format(figure)}; {asked} {bound:{style}} is asked: {verdict}."
    n = int(comparison.get("queries", 0))
    return Check(Evidence(name, value, None, None, n, bound, holds), sentence)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _number(value: float | None) -> str:
    return f"{value:.3f}" if value is not None and _is_number(value) else "unknown"
