"""Whether requests stopped coming: a count of a span of hours beside those of its season."""

import numpy as np
import numpy.typing as npt
from scipy import stats

from perennial.quality.drift.rates import Shift
from perennial.quality.drift.seasons import CELLS, EXPLAINED, GAP, cells, is_learned, readings

Ints = npt.NDArray[np.int64]


def volume_shift(counts: Ints, hours: Ints, *, span: int) -> Shift | None:
    """The last `span` of (h,) hours beside those a day and more before: requests, those expected,
    and the chance of so few; None where the past does not know such hours.

    Counts are negative binomial with as much spread as the past weeks had.
    """
    if len(hours) <= span + GAP:
        return None
    past, now = slice(0, -span - GAP), slice(-span, None)
    if not is_learned(hours[past][counts[past] > 0]):
        return None
    seasons = cells(hours)
    known = np.bincount(seasons[past], minlength=CELLS)
    means = np.bincount(seasons[past], counts[past], minlength=CELLS) / np.maximum(known, 1)
    off = (counts[past] - means[seasons[past]]) ** 2 - means[seasons[past]]
    squares = float((means[seasons[past]] ** 2).sum())
    spread = max(float(off.sum()) / squares if squares else 0.0, 1e-6)
    best: Shift | None = None
    for flipped in readings(hours[now]):
        read = cells(hours[now], flipped=flipped)
        if (known[read] == 0).any() or not (expected := float(means[read].sum())):
            if not flipped:
                return None
            continue
        total, size = int(counts[now].sum()), 1 / spread
        p = float(stats.nbinom.cdf(total, size, size / (size + expected)))
        if best is None or p > best.p:
            best = Shift(float(total), expected, total, p)
        if best.p > EXPLAINED:
            break
    return best
