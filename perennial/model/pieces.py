"""Texts cut into forwards of a bounded number of tokens, texts of like length together."""

import numpy as np


def pieces(lengths: np.ndarray, *, budget: int) -> list[np.ndarray]:
    """(n,) token counts to positions, longest first; rows times longest is at most `budget`.

    A text that is longer than the budget stands alone. A function of the lengths alone.
    """
    order = np.argsort(-lengths, kind="stable")
    cuts, start = [], 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        end = start + max(1, budget // longest)
        cuts.append(order[start:end])
        start = end
    return cuts


def padding_share(lengths: np.ndarray, cuts: list[np.ndarray]) -> float:
    """The share of all places in those forwards that hold padding and no token."""
    places = sum(len(cut) * int(lengths[cut].max(initial=0)) for cut in cuts)
    return 1.0 - int(lengths.sum()) / places if places else 0.0
