"""k-NN accuracy: whether the neighbours of an embedding tell the slice that it belongs to."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perennial.quality.metrics import Floats, Objects


def slice_accuracy(neighbours: Objects, own: Sequence[str | None]) -> Floats:
    """(n, k) slices of the neighbours, nearest first, and (n,) own ones to 1 where they agree.

    The neighbours say what most of them say; of equally many, what the nearest says. None and NaN
    say nothing, and rows whose own slice is unknown are left out.
    """
    known = pd.notna(pd.Series(list(own), dtype=object)).to_numpy()
    table, wanted = neighbours[known], np.array(list(own), dtype=object)[known]
    if not len(wanted) or not table.shape[1]:
        return np.zeros(len(wanted))
    codes, _ = pd.factorize(np.concatenate([wanted, table.ravel()]))
    mine, theirs = codes[: len(wanted)], codes[len(wanted) :].reshape(table.shape)
    votes = (theirs[:, :, None] == theirs[:, None, :]).sum(axis=2)
    winner = np.where(theirs >= 0, votes, 0).argmax(axis=1)  # the first of equals is the nearest
    return np.asarray(theirs[np.arange(len(mine)), winner] == mine, dtype=np.float64)
