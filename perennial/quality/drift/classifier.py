"""Can a classifier tell two samples apart? If it can on rows that it never saw, they differ.

Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests". Fitted on one half of either
sample, judged on the other by the area under the ROC curve: 0.5 where nothing tells them apart.
"""

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Floats = npt.NDArray[np.floating]
_STEPS = 4  # of Newton's method: enough under this ridge


def separability(one: Floats, other: Floats, *, ridge: float, seed: int) -> tuple[float, float]:
    """(n, d) and (m, d) rows to the held-out AUC and its one-sided p (Mann-Whitney, with ties)."""
    generator = np.random.default_rng(seed)
    fit, judge = zip(*(_halves(rows, generator) for rows in (one, other)), strict=True)
    weights = logistic(*fit, ridge=ridge)
    ours, theirs = (rows @ weights for rows in judge)
    found = stats.mannwhitneyu(ours, theirs, alternative="greater", method="asymptotic")
    return float(found.statistic / (len(ours) * len(theirs))), float(found.pvalue)


def logistic(one: Floats, other: Floats, *, ridge: float) -> Floats:
    """(d,) weights of a logistic regression that tells `one` from `other`, each sample weighing as
    much; `ridge` is in shares of the rows' mean variance."""
    rows = np.concatenate([one, other]).astype(np.float32)
    centre = rows.mean(axis=0)
    rows = np.concatenate([rows - centre, np.ones((len(rows), 1), dtype=np.float32)], axis=1)
    target = np.repeat(np.array([1.0, 0.0], dtype=np.float32), [len(one), len(other)])
    share = np.repeat(
        np.array([0.5 / len(one), 0.5 / len(other)], dtype=np.float32), [len(one), len(other)]
    )
    scale = ridge * float(rows[:, :-1].var(axis=0).mean())
    penalty = np.full(rows.shape[1], max(scale, 1e-9), dtype=np.float32)
    penalty[-1] = 1e-6
    weights = np.zeros(rows.shape[1], dtype=np.float32)
    for _ in range(_STEPS):
        chance = special.expit(rows @ weights)
        slope = rows.T @ (share * (chance - target)) + penalty * weights
        bend = (rows * (share * chance * (1 - chance))[:, None]).T @ rows + np.diag(penalty)
        weights = weights - np.linalg.solve(bend, slope)
    return np.asarray(weights[:-1])


def _halves(rows: Floats, generator: np.random.Generator) -> tuple[Floats, Floats]:
    order = generator.permutation(len(rows))
    middle = len(rows) // 2
    return rows[order[:middle]], rows[order[middle:]]
