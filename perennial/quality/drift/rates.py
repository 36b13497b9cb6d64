"""Whether a share of a span of hours is still that of the hours before, of the same season.

Hits are beta-binomial: around a season's own share, with as much spread between hours and days as
the past weeks had, and with what the past cannot know of its own share. A log of bursts and moods
is therefore no drift.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from perennial.quality.drift.seasons import CELLS, DAY, EXPLAINED, GAP, cells, is_learned, readings

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Side = Literal["above", "below", "both"]
_LEAST = 1e-9


@dataclass(frozen=True)
class Shift:
    """A share of `n` trials, the one that was foretold, and the chance to be so far from it."""

    value: float
    expected: float
    n: int
    p: float


def rate_shift(
    trials: Ints, hits: Ints, hours: Ints, *, span: int, side: Side, width: int = 0
) -> Shift | None:
    """The last `span` of (h,) hours beside those a day and more before; None where none compare.

    Of all readings of the season the one that explains the span best is told, if the past knows the
    calendar's own: else a first Saturday would be judged as a weekday. What is usual at an
    hour is that of the hours up to `width` before and after it, on the same kind of day.
    """
    past, now = slice(0, -span - GAP), slice(-span, None)
    if len(hours) <= span + GAP or not trials[now].sum():
        return None
    if not is_learned(hours[past][trials[past] > 0]):
        return None
    seasons = cells(hours)
    n = _around(np.bincount(seasons[past], trials[past], minlength=CELLS), width)
    hit = _around(np.bincount(seasons[past], hits[past], minlength=CELLS), width)
    # A cell of few trials leans on all of them; none is surely 0 or 1.
    shares = (hit + (hit.sum() + 0.5) / (n.sum() + 1)) / (n + 1)
    spread = _spread(trials[past], hits[past], hours[past], shares, n)
    best: Shift | None = None
    for flipped in readings(hours[now]):
        read = cells(hours[now], flipped=flipped)
        if (n[read][trials[now] > 0] == 0).any():
            if not flipped:
                return None
            continue
        found = _beside(trials[now], hits[now], shares[read], n[read], spread=spread, side=side)
        if best is None or found.p > best.p:
            best = found
        if best.p > EXPLAINED:
            break
    return best


def _around(counts: npt.NDArray[Any], width: int) -> Floats:
    """(48,) counts of cells to those of the hours around each, on the same kind of day."""
    days = counts.reshape(-1, DAY)
    return np.asarray(sum(np.roll(days, k, axis=1) for k in range(-width, width + 1))).ravel()


def _beside(
    trials: Ints, hits: Ints, shares: Floats, known: Floats, *, spread: float, side: Side
) -> Shift:
    total, hit = int(trials.sum()), int(hits.sum())
    share = float((trials * shares).sum() / total)
    unsure = float(
        ((trials / total) ** 2 * shares * (1 - shares) / np.maximum(known, 1)).sum()
        / (share * (1 - share))
    )
    low, high = tails(hit, total, share=share, correlation=min(spread + unsure, 0.5))
    p = {"above": high, "below": low, "both": min(1.0, 2 * min(low, high))}[side]
    return Shift(hit / total, share, total, p)


def tails(hits: int, trials: int, *, share: float, correlation: float) -> tuple[float, float]:
    """The chances of at most and of at least so many hits, beta-binomial; `correlation` of two
    trials."""
    strength = 1 / max(correlation, _LEAST) - 1
    a, b = share * strength, (1 - share) * strength
    k = np.arange(trials + 1)
    logs = (
        special.gammaln(trials + 1)
        - special.gammaln(k + 1)
        - special.gammaln(trials - k + 1)
        + special.betaln(k + a, trials - k + b)
        - special.betaln(a, b)
    )
    chances = np.exp(logs)
    return (
        float(min(1.0, chances[: hits + 1].sum())),
        float(min(1.0, chances[hits:].sum())),
    )


def _spread(trials: Ints, hits: Ints, hours: Ints, shares: Floats, known: Floats) -> float:
    """The correlation of two trials of an hour, or of a day if that is higher, by moments."""
    seasons = cells(hours)
    p = shares[seasons]
    fitted = np.where(known[seasons] > 0, trials / np.maximum(known[seasons], 1), 0.0)
    off = hits - trials * p
    noise = trials * p * (1 - p) * (1 - fitted)
    days = (hours - hours[0]) // DAY
    found = [0.0]
    for groups in (np.arange(len(hours)), days):
        much = np.bincount(groups, trials)
        odd = np.bincount(groups, off) ** 2 - np.bincount(groups, noise)
        scale = np.bincount(groups, trials * p * (1 - p)) * np.maximum(much - 1, 0)
        if scale.sum() > 0:
            found.append(float(odd.sum() / scale.sum()))
    return max(found)
