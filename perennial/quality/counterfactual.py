"""Clicks that a ranking nobody saw would have had, foretold from an explored log's clicks.

Of each page the log knows the chance that exploration put each document where it stood. Each way of
weighing (see counterfactual_weights) foretells clicks per page twice:

    clipped      sum of weight * click: what no page showed counts as never clicked
    normalised   rank by rank divided by the weights' own sum (Swaminathan and Joachims 2015, "The
                 Self-Normalized Estimator for Counterfactual Learning"): what no page showed counts
                 as clicked like what was shown there; differences are of these

Both of the champion and of the candidate, on the same pages, so that what a method gets wrong of
both cancels. It is silent where the log was not explored, where nobody clicked, where too few
pages speak of the candidate, and where too little of its answers was ever shown.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perennial.quality.alike import SIDES
from perennial.quality.counterfactual_totals import (
    clipped_total,
    intervals,
    normalised_total,
    seen_share,
)
from perennial.quality.counterfactual_weights import Booleans, Weighed, by_place, by_position
from perennial.quality.metrics import Floats, Integers, Objects
from perennial.quality.paired import Interval


@dataclass(frozen=True)
class Clicks:
    """Clicks per page by one method; `change` is candidate - champion in shares of the champion's.

    `seen` is the share of the candidate's documents that pages told of, `effective` the number of
    pages that would tell as much with equal weights. Where `silent` says why, the rest is unknown.
    """

    method: str
    pages: int
    explored: int
    effective: float
    seen: Interval
    clipped: dict[str, Interval]
    normalised: dict[str, Interval]
    difference: Interval
    change: Interval
    silent: str | None


def foretell_clicks(
    *,
    shown: Objects,
    propensity: Floats,
    clicked: Booleans,
    is_explored: Booleans,
    session: Integers,
    champion: Objects,
    candidate: Objects,
    looks: Floats | None,
    look_errors: Floats | None,
    max_weight: float,
    min_effective: float,
    min_seen: float,
    samples: int,
    confidence: float,
    seed: int,
) -> tuple[Clicks, Clicks]:
    """(n, k) pages and rankings of their queries to Clicks by place and by position.

    `session` (n,) numbers what is drawn anew for the intervals; `looks` (k,) with their standard
    errors are None where nobody knows them; an error that is not finite is taken as 0.
    """
    pages, explored = len(shown), int(is_explored.sum())
    how: dict[str, Any] = {
        "explored": explored,
        "session": session,
        "min_effective": min_effective,
        "min_seen": min_seen,
        "samples": samples,
        "confidence": confidence,
        "seed": seed,
    }
    if not explored or not clicked.any():
        what = "has no click" if explored else "was not explored"
        why = f"Clicks tell nothing of answers that nobody saw: the log of {pages} pages {what}."
        return _silent("by place", pages, explored, why), _silent(
            "by position", pages, explored, why
        )
    rankings = (champion, candidate)
    even = np.ones(shown.shape[1])
    weighed = [by_place(shown, propensity, clicked, r, max_weight=max_weight) for r in rankings]
    place = _foretold("by place", weighed, even, 0 * even, **how)
    if looks is None or look_errors is None or not (np.isfinite(looks) & (looks > 0)).all():
        why = "Clicks by position tell nothing: how often each rank is looked at is not known."
        return place, _silent("by position", pages, explored, why)
    weighed = [by_position(shown, looks, clicked, r, max_weight=max_weight) for r in rankings]
    errors = np.where(np.isfinite(look_errors), look_errors, 0.0)
    return place, _foretold("by position", weighed, looks, errors, **how)


def _foretold(
    method: str,
    weighed: list[Weighed],
    looks: Floats,
    errors: Floats,
    *,
    explored: int,
    session: Integers,
    min_effective: float,
    min_seen: float,
    samples: int,
    confidence: float,
    seed: int,
) -> Clicks:
    effective = weighed[1].effective
    if not weighed[0].slots.any() or not weighed[1].slots.any():
        nothing = f"Clicks {method} tell nothing: one side answers none of the log's queries."
        return _silent(method, len(session), explored, nothing)
    old, new = (normalised_total(side, looks) for side in weighed)
    totals = [
        seen_share(weighed[1], looks),
        *(clipped_total(side, looks) for side in weighed),
        old,
        new,
        new.minus(old),
        new.minus(old).over(old) if old.value > 0 else old,
    ]
    seen, *found = intervals(
        totals,
        session=session,
        errors=errors,
        samples=samples,
        confidence=confidence,
        seed=seed,
    )
    why: str | None = None
    if effective < min_effective:
        why = (
            f"Clicks {method} tell too little: {len(session)} pages weigh as {effective:.0f} for "
            f"this candidate, and {min_effective:g} are needed."
        )
    elif seen.low is None or seen.low < min_seen:
        why = (
            f"Clicks {method} tell too little: the log's pages showed {seen.value:.0%} of what the "
            f"candidate answers where it can be weighed, and surely {min_seen:.0%} are needed."
        )
    elif old.value <= 0:
        why = f"Clicks {method} tell nothing: the champion's documents have none."
    if why is not None:
        return replace(_silent(method, len(session), explored, why), effective=effective, seen=seen)
    return Clicks(
        method=method,
        pages=len(session),
        explored=explored,
        effective=effective,
        seen=seen,
        clipped=dict(zip(SIDES, found[:2], strict=True)),
        normalised=dict(zip(SIDES, found[2:4], strict=True)),
        difference=found[4],
        change=found[5],
        silent=None,
    )


def _silent(method: str, pages: int, explored: int, why: str) -> Clicks:
    unknown = Interval(None, None, None, 0)
    sides = dict.fromkeys(SIDES, unknown)
    return Clicks(method, pages, explored, 0.0, unknown, sides, sides, unknown, unknown, why)
