"""Does a click model describe the log? Clicks by rank and by the click above, against the model."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from perennial.data.clicks.pages import Pages
from perennial.data.clicks.relevance import click_chances

_FEWEST = 5.0  # expected clicks of a cell, as Pearson's test asks for
_SURE_OF_PAIR = 5.0  # expected looks; fewer, and a pair's own click is all that it is judged by
_STATES = 4  # no click above, one right above, one two ranks above, one further up


@dataclass(frozen=True)
class GoodnessOfFit:
    """Pearson's statistic over cells of rank and distance to the click above; the mean relative
    misfit of a click; and whether the model describes the log."""

    statistic: float
    degrees: int
    p_value: float
    misfit: float
    describes: bool


def goodness_of_fit(
    pages: Pages, looks: np.ndarray, *, significance: float, max_misfit: float
) -> GoodnessOfFit:
    """Compares clicks with what the model expects of them.

    A log of millions rejects every model, so a log is called undescribed only where the difference
    is significant and, in shares of the clicks, larger than `max_misfit` as well. The p-value is
    approximate: what the pairs' own relevances take from the degrees of freedom is not counted.
    """
    clicked, chances = pages.clicked, click_chances(pages, looks)
    ranks = clicked.shape[1]
    sure = pages.per_pair(looks) >= _SURE_OF_PAIR
    counted = pages.shown & sure[pages.pairs]
    cells = np.arange(ranks)[None, :] * _STATES + _above(clicked)
    weights = np.broadcast_to(pages.seen[:, None], clicked.shape)

    def per_cell(values: np.ndarray) -> np.ndarray:
        return np.bincount(cells[counted], (values * weights)[counted], minlength=ranks * _STATES)

    observed, expected = per_cell(clicked), per_cell(chances)
    variance = per_cell(chances * (1 - chances))
    told = expected >= _FEWEST
    statistic = float((((observed - expected) ** 2)[told] / variance[told]).sum())
    # Each rank's sum is met by its own propensity, or by the relevances.
    used = np.unique(np.flatnonzero(told) // _STATES)
    degrees = max(int(told.sum()) - len(used), 0)
    total = max(float(observed[told].sum()), 1.0)
    misfit = float(np.abs(observed - expected)[told].sum()) / total
    p_value = float(chdtrc(degrees, statistic)) if degrees else 1.0
    describes = p_value >= significance or misfit <= max_misfit
    return GoodnessOfFit(statistic, degrees, p_value, misfit, describes)


def _above(clicked: np.ndarray) -> np.ndarray:
    """(p, k) state of the click above: 0 none, 1 the rank before, 2 the one before that, 3 more."""
    ranks = clicked.shape[1]
    last = np.where(clicked, np.arange(ranks), -ranks - _STATES)
    above = np.full(clicked.shape, -ranks - _STATES)
    above[:, 1:] = np.maximum.accumulate(last, axis=1)[:, :-1]
    distance = np.arange(ranks)[None, :] - above
    state: np.ndarray = np.where(distance > ranks, 0, np.minimum(distance, _STATES - 1))
    return state
