"""Texts cut into forwards of a bounded number of tokens, texts of like length together.

A forward has one of few shapes. oneDNN, which multiplies on a CPU, writes the machine code of a
product for its shape and keeps that of the last 1,024: with shapes as they come a tenth of a step
went to writing it.
"""

import numpy as np

_EACH = 128  # tokens that a forward of its own costs: its weights' gradients are added up, too
_COLUMNS = 16  # an attention's products are in tiles of so many


def rounded(count: int) -> int:
    """Up to three binary digits: 1 to 8, 10, 12, 14, 16, 20, 24, 28, 32, 40 and so on."""
    step = 1 << max(0, (count - 1).bit_length() - 3)
    return -(-count // step) * step


def columns(longest: int, *, most: int) -> int:
    """Places of each text in a forward whose longest has so many tokens; `most` at the most."""
    return max(1, longest, min(most, _COLUMNS * rounded(-(-longest // _COLUMNS))))


def pieces(lengths: np.ndarray, *, budget: int) -> list[np.ndarray]:
    """(n,) token counts to positions, longest first; rounded rows times longest is at most
    `budget`.

    A text that is longer than the budget stands alone. Of all such cuts the one with the fewest
    places, each forward counted as `_EACH` more. A function of the lengths alone.
    """
    order = np.argsort(-lengths, kind="stable")
    longest = np.maximum(1, lengths[order])
    rows = np.array([rounded(count) for count in range(len(order) + 1)])
    costs = np.zeros(len(order) + 1)  # of the first ones
    starts = np.zeros(len(order) + 1, dtype=np.int64)  # of the forward that ends there
    first = 0
    for end in range(1, len(order) + 1):
        while first < end - 1 and rows[end - first] * longest[first] > budget:
            first += 1
        found = costs[first:end] + rows[end - first : 0 : -1] * longest[first:end]
        starts[end] = first + int(found.argmin())
        costs[end] = found.min() + _EACH
    cuts, end = [], len(order)
    while end > 0:
        cuts.append(order[starts[end] : end])
        end = int(starts[end])
    return cuts[::-1]


def padding_share(lengths: np.ndarray, cuts: list[np.ndarray], *, most: int) -> float:
    """The share of all places in those forwards that hold padding and no token."""
    places = sum(
        rounded(len(cut)) * columns(int(lengths[cut].max(initial=0)), most=most) for cut in cuts
    )
    return 1.0 - int(lengths.sum()) / places if places else 0.0
