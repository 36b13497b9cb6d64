"""Which triplets each step of an epoch learns from."""

import numpy as np


def epoch_plan(
    rows: np.ndarray, query: np.ndarray, *, size: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """Rows of triplets, shuffled, in batches of `size`, each once; no query twice in a batch.

    `query` names the query of every triplet. A triplet whose query is in the batch already waits
    for the next; only where too few queries are left is a batch smaller. A function of (seed,
    epoch) alone, whatever the number of processes.
    """
    order = rows[np.random.default_rng([seed, epoch]).permutation(len(rows))]
    batches: list[np.ndarray] = []
    waiting: list[int] = []
    coming = iter(order.tolist())
    exhausted = False
    while waiting or not exhausted:
        batch: dict[int, int] = {}
        still: list[int] = []
        for row in waiting:
            _place(row, int(query[row]), batch, still, size)
        while len(batch) < size and not exhausted:
            if (row := next(coming, -1)) < 0:
                exhausted = True
            else:
                _place(row, int(query[row]), batch, still, size)
        waiting = still
        if batch:
            batches.append(np.array(list(batch.values())))
    return batches


def _place(row: int, query: int, batch: dict[int, int], still: list[int], size: int) -> None:
    if query in batch or len(batch) >= size:
        still.append(row)
    else:
        batch[query] = row
