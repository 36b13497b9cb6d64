"""Texts cut into forwards of a bounded number of tokens, texts of like length together."""

import numpy as np

_EACH = 128  # tokens that a forward of its own costs: its weights' gradients are added up, too


def pieces(lengths: np.ndarray, *, budget: int) -> list[np.ndarray]:
    """(n,) token counts to positions, longest first; rows times longest is at most `budget`.

    A text that is longer than the budget stands alone. Of all such cuts the one with the fewest
    places, each forward counted as `_EACH` more. A function of the lengths alone.
    """
    order = np.argsort(-lengths, kind="stable")
    longest = np.maximum(1, lengths[order])
    costs = np.zeros(len(order) + 1)  # of the first ones
    starts = np.zeros(len(order) + 1, dtype=np.int64)  # of the forward that ends there
    first = 0
    for end in range(1, len(order) + 1):
        while first < end - 1 and (end - first) * longest[first] > budget:
            first += 1
        found = costs[first:end] + np.arange(end - first, 0, -1) * longest[first:end]
        starts[end] = first + int(found.argmin())
        costs[end] = found.min() + _EACH
    cuts, end = [], len(order)
    while end > 0:
        cuts.append(order[starts[end] : end])
        end = int(starts[end])
    return cuts[::-1]


def padding_share(lengths: np.ndarray, cuts: list[np.ndarray]) -> float:
    """The share of all places in those forwards that hold padding and no token."""
    places = sum(len(cut) * int(lengths[cut].max(initial=0)) for cut in cuts)
    return 1.0 - int(lengths.sum()) / places if places else 0.0
