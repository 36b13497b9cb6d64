"""The gate's single checks on differences: each an interval and a bound, said in a sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from perennial.quality.decision import Evidence
from perennial.quality.metrics import TITLES

Kind = Literal["gain", "loss", "earlier", "lexical", "slice", "floor", "labels", "health"]
UNKNOWN: Mapping[str, Any] = {"value": None, "low": None, "high": None}


@dataclass(frozen=True)
class Check:
    """Evidence, the sentence that explains it, and which rule of the gate asked."""

    kind: Kind
    evidence: Evidence
    reason: str

    @classmethod
    def of(
        cls,
        kind: Kind,
        name: str,
        interval: Mapping[str, Any],
        bound: float,
        holds: bool | None,
        queries: int,
        reason: str,
    ) -> "Check":
        """A check of an interval over so many queries."""
        value, low, high = interval["value"], interval["low"], interval["high"]
        return cls(kind, Evidence(name, value, low, high, queries, bound, holds), reason)


def gain(
    difference: Mapping[str, Any], metric: str, bound: float, *, queries: int, confidence: float
) -> Check:
    """Superiority: holds where the candidate is surely better than the champion by the bound."""
    low, high = difference["low"], difference["high"]
    title, change = TITLES.get(metric, metric), shown(difference, queries, confidence)
    if low is None or high is None:
        return Check.of("gain", metric, difference, bound, None, queries, f"{title}: {change}.")
    if low > bound:
        holds, verdict = True, "the candidate is better than the champion"
    elif high < bound:
        holds = False
        verdict = "the candidate is worse than the champion"
        if high >= 0:
            verdict = f"a gain of {bound:.3f} was asked for and is out of reach"
    else:
        holds = None
        verdict = "not enough evidence that the candidate is better than the champion"
    if bound and holds is not False and not math.isclose(bound, 0.0):
        verdict += f" by {bound:.3f}"
    sentence = f"{title} {change}: {verdict}."
    return Check.of("gain", metric, difference, bound, holds, queries, sentence)


def loss(
    difference: Mapping[str, Any],
    metric: str,
    margin: float,
    *,
    kind: Literal["loss", "earlier", "lexical", "slice"],
    against: str = "champion",
    within: str = "",
    queries: int,
    confidence: float,
) -> Check:
    """Non-inferiority: holds where the candidate surely loses no more than the margin."""
    low, high = difference["low"], difference["high"]
    other = {"champion": "the champion", "lexical": "the lexical baseline"}.get(against, against)
    if low is None or high is None:
        holds, verdict = None, "nothing can be said of a loss"
    elif low >= -margin:
        holds, verdict = True, f"a loss of more than {margin:.3f} is ruled out"
    elif high < -margin:
        holds, verdict = False, f"more is lost than the {margin:.3f} that is allowed"
    else:
        holds, verdict = None, f"a loss of more than {margin:.3f} cannot be ruled out"
    name = metric if against == "champion" else f"{metric} against {against}"
    place = f" in {within}" if within else ""
    title, change = TITLES.get(metric, metric), shown(difference, queries, confidence)
    sentence = f"{title}{place} against {other} {change}: {verdict}."
    return Check.of(kind, name + place, difference, -margin, holds, queries, sentence)


def floor(
    score: Mapping[str, Any], metric: str, bound: float, *, queries: int, confidence: float
) -> Check:
    """An absolute floor: holds where the candidate's own mean surely is no lower."""
    low, high = score["low"], score["high"]
    title = TITLES.get(metric, metric)
    if low is None or high is None:
        holds, found = None, "was not measured well enough"
    else:
        holds = True if low >= bound else False if high < bound else None
        found = f"is {score['value']:.3f} [{low:.3f}, {high:.3f}] at {confidence:.0%}"
    verdict = {True: "reached", False: "missed", None: "not surely reached"}[holds]
    sentence = f"The candidate's {title} {found}; the floor of {bound:.3f} is {verdict}."
    return Check.of("floor", f"{metric} floor", score, bound, holds, queries, sentence)


def shown(difference: Mapping[str, Any], queries: int, confidence: float) -> str:
    """A difference in words, with its interval and how many queries it rests on."""
    if difference["value"] is None and not queries:
        return "was not compared"
    if difference["low"] is None or difference["high"] is None:
        return f"has no interval, from {queries} queries"
    rounded = round(difference["value"], 3)
    moved = f"rose by {rounded:.3f}" if rounded > 0 else f"fell by {-rounded:.3f}"
    moved = moved if rounded else "did not move"
    return (
        f"{moved} [{difference['low']:+.3f}, {difference['high']:+.3f}] "
        f"at {confidence:.0%} on {queries} queries"
    )


def is_number(value: object) -> bool:
    """True for a finite int or float."""
    return isinstance(value, int | float) and math.isfinite(value)
