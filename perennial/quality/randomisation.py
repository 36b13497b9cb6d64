"""Whether a paired difference may be chance: a sign-flip test, Holm's correction, effect sizes."""

from collections.abc import Sequence

import numpy as np

from perennial.quality.paired import TIE, Floats


def sign_flip_p(differences: Floats, *, samples: int, seed: int) -> Floats:
    """(n, m) paired differences to (m,) two-sided p of "which system was which is chance".

    Fisher's randomisation test, as Smucker, Allan and Carterette 2007 advise for rankings. Drawn at
    random, p = (1 + as large) / (1 + samples): the observed signs are one of the draws, so that p
    is never 0 (Phipson and Smyth 2010). All m columns share their draws.
    """
    moved = differences[(np.abs(differences) > TIE).any(axis=1)]
    total = moved.sum(axis=0)
    as_large = np.zeros(differences.shape[1], dtype=np.int64)
    rng = np.random.default_rng(seed)
    step = max(1, 4_000_000 // max(len(moved), 1))  # signs: at most 32 MB at a time
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        is_plus = rng.integers(0, 2, size=(rows, len(moved)), dtype=np.int8)
        flipped = 2 * (is_plus.astype(np.float64) @ moved) - total
        as_large += (np.abs(flipped) >= np.abs(total) - 1e-9).sum(axis=0)
    return np.asarray((1 + as_large) / (1 + samples), dtype=np.float64)


def holm(p: Sequence[float]) -> list[float]:
    """p-values of one family to adjusted ones: below alpha, all of them, with chance 1 - alpha.

    Holm 1979: the smallest of m counts m times, the next m - 1 times, and none less than before it.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    times = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(times * values[order]), 1.0)
    return [float(value) for value in adjusted]


def cohens_dz(differences: Floats) -> list[float | None]:
    """(n, m) paired differences to m effect sizes: mean over standard deviation (Cohen 1988).

    None where it cannot be known: fewer than two pairs, or no spread.
    """
    if len(differences) < 2:
        return [None] * differences.shape[1]
    spread = differences.std(axis=0, ddof=1)
    means = differences.mean(axis=0)
    return [
        float(mean / each) if each > TIE else None for mean, each in zip(means, spread, strict=True)
    ]
