"""Which ordinary queries a person looks at, beside those that changed most."""

from collections.abc import Collection, Sequence

import numpy as np

from perennial.quality.metrics import Floats

OUTCOMES = ("lost", "tied", "won")


def outcomes(candidate: Floats, champion: Floats) -> list[str]:
    """(q,) scores of both to whether the candidate won, tied or lost each query."""
    change = candidate - champion
    # Sums in another order differ in the last bits: that is a tie.
    return [OUTCOMES[int(sign) + 1] for sign in np.sign(np.where(abs(change) > 1e-12, change, 0))]


def ordinary(
    outcome: Sequence[str],
    slices: Sequence[str | None],
    *,
    leave_out: Collection[int],
    size: int,
    seed: int,
) -> list[int]:
    """Row numbers of at most `size` of the other queries, each with the same chance of being taken.

    Systematic sampling of the list sorted by slice and outcome (Cochran 1977, "Sampling
    Techniques", 8): a stratum gets its share to within one query, and the sample its proportions.
    """
    rows = [row for row in range(len(outcome)) if row not in leave_out]
    if len(rows) <= size:
        return rows
    rng = np.random.default_rng(seed)
    chance = dict(zip(rows, rng.permutation(len(rows)).tolist(), strict=True))
    rows.sort(key=lambda row: (slices[row] or "", OUTCOMES.index(outcome[row]), chance[row]))
    step = len(rows) / size
    start = rng.uniform(0, step)
    return sorted(rows[min(int(start + i * step), len(rows) - 1)] for i in range(size))
