"""Always-valid bounds of how the two arms compare, and the estimates that stand between them."""

from collections.abc import Sequence

import numpy as np

from perennial.quality.paired import Interval
from perennial.quality.sequential import Bet, Cells, Floats, Side, log_evidence

# Ratios of success that are asked about, evenly spaced in their logarithm.
_RATIOS: Floats = np.exp(np.linspace(np.log(0.02), np.log(5.0), 801))


def ratio_interval(
    cells: Sequence[Cells],
    *,
    expected: float,
    bets_above: Sequence[Bet],
    bets_below: Sequence[Bet],
    alpha_above: float,
    alpha_below: float,
) -> Interval:
    """Success on the candidate over success on stable, with a confidence sequence.

    Its bounds are what the tests of every ratio leave over (Turner and Grünwald 2023, "Exact
    anytime-valid confidence intervals for contingency tables and beyond"): that they ever fail to
    hold the ratio has a chance of at most alpha each. A bound that nothing excludes yet is None.
    """
    low = _bound(cells, "above", expected=expected, bets=bets_above, alpha=alpha_above)
    high = _bound(cells, "below", expected=expected, bets=bets_below, alpha=alpha_below)
    n = sum(each.candidate + each.stable for each in cells)
    return Interval(risk_ratio(cells), low, high, n)


def risk_ratio(cells: Sequence[Cells]) -> float | None:
    """The ratio of successes over strata, None without any on stable (Mantel and Haenszel 1959;
    Greenland and Robins 1985): shares that change with the step, and days that differ, bias it
    not."""
    above = below = 0.0
    for each in cells:
        total = each.candidate + each.stable
        if total:
            above += each.candidate_successes * each.stable / total
            below += each.stable_successes * each.candidate / total
    return above / below if below else None


def risk_difference(cells: Sequence[Cells]) -> float | None:
    """The difference of success over strata, candidate - stable, with Mantel-Haenszel weights."""
    above = below = 0.0
    for each in cells:
        if each.candidate and each.stable:
            weight = each.candidate * each.stable / (each.candidate + each.stable)
            there = each.candidate_successes / each.candidate
            above += weight * (there - each.stable_successes / each.stable)
            below += weight
    return above / below if below else None


def _bound(
    cells: Sequence[Cells],
    side: Side,
    *,
    expected: float,
    bets: Sequence[Bet],
    alpha: float,
) -> float | None:
    evidence = log_evidence(cells, side=side, expected=expected, bets=bets, ratio=_RATIOS)
    excluded = evidence >= -np.log(alpha)
    if side == "below":
        excluded = excluded[::-1]
    # Up to the first ratio that is not excluded: all on its far side are.
    count = int(np.argmin(excluded)) if not excluded.all() else len(excluded)
    if not count:
        return None
    return float(_RATIOS[count - 1] if side == "above" else _RATIOS[len(_RATIOS) - count])
