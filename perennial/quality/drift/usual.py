"""What is usual at each hour of the last week, beside what came: for people to look at."""

import numpy as np
import numpy.typing as npt

from perennial.quality.drift.seasons import CELLS, WEEK, cells

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def last_week(hits: Ints, trials: Ints, hours: Ints) -> tuple[Ints, Floats, Floats]:
    """Of (h,) hours the last week's, hits per trial at each, and those of the hours before on the
    same kind of day; NaN where there were none."""
    shown = slice(-min(WEEK, len(hours)), None)
    before = slice(0, max(len(hours) - WEEK, 0)) if len(hours) > WEEK else slice(0, None)
    seasons = cells(hours)
    hit, tried = (
        np.bincount(seasons[before], column[before], minlength=CELLS) for column in (hits, trials)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = hit / tried
        return hours[shown], hits[shown] / trials[shown], usual[seasons[shown]]
