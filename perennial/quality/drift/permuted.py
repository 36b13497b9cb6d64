"""Permutation tests that stop as soon as nothing is to be found.

Besag and Clifford 1991, "Sequential Monte Carlo p-values": permute until so many statistics reached
the observed one, or until the most was spent; the p-value is exact either way, so that a small one
may be asked for and an ordinary one costs a hundred permutations.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
_REACHED = 6
_FIRST, _MOST = 32, 1024  # permutations at a time


def permuted_p(
    rows: Floats, first: int, *, widths: Sequence[int], least: float, seed: int
) -> list[float]:
    """(n, d) rows, of which the `first` are one sample, to a p-value for each block of columns.

    A block's statistic is the squared distance of the two samples' means in it. No p-value is
    below `least`.
    """
    starts = np.cumsum([0, *widths[:-1]])
    observed = _distances(rows[:first].sum(axis=0)[None], rows, first, starts)[0]
    generator = np.random.default_rng(seed)
    most = int(np.ceil(1 / least)) - 1
    reached, done, found = np.zeros(len(widths)), 0, np.full(len(widths), np.nan)
    size = _FIRST
    while done < most and np.isnan(found).any():
        count = min(size, most - done)
        keys = generator.random((count, len(rows)), dtype=np.float32)
        taken = np.argpartition(keys, first - 1, axis=1)[:, :first]
        chosen = np.zeros((count, len(rows)), dtype=np.float32)
        chosen[np.arange(count)[:, None], taken] = 1.0
        distances = _distances(chosen @ rows, rows, first, starts)
        # Rounding must not tell a permutation from the samples as they are.
        reached += (distances >= observed * (1 - 1e-5)).sum(axis=0)
        done, size = done + count, min(2 * size, _MOST)
        over = np.isnan(found) & (reached >= _REACHED)
        found[over] = reached[over] / done
    left = np.isnan(found)
    found[left] = (reached[left] + 1) / (done + 1)
    return [float(value) for value in np.minimum(found, 1.0)]


def _distances(sums: Floats, rows: Floats, first: int, starts: npt.NDArray[np.int64]) -> Floats:
    """(c, d) sums over one sample to (c, blocks) squared distances of the means."""
    rest = rows.sum(axis=0) - sums
    gaps = (sums / first - rest / (len(rows) - first)) ** 2
    return np.asarray(np.add.reduceat(gaps, starts, axis=1))
