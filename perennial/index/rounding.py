"""Rows rounded to bfloat16, and how far a product of them may be from the true one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_PIECE = 1024
# Of a product that is rounded to bfloat16 at the end, by whatever rule.
_UNIT = 2.0**-8


@dataclass(frozen=True)
class Rounded:
    """(n, d) bfloat16 rows; the (n,) float64 lengths of the true ones, and of what was cut off."""

    rows: "torch.Tensor"
    lengths: "torch.Tensor"
    lost: "torch.Tensor"


def rounded(vectors: np.ndarray) -> Rounded:
    """(n, d) float32 rows, rounded."""
    import torch

    rows = torch.empty(vectors.shape, dtype=torch.bfloat16)
    lengths, lost = (torch.empty(len(vectors), dtype=torch.float64) for _ in range(2))
    for start in range(0, len(vectors), _PIECE):
        part = slice(start, start + _PIECE)
        true = torch.from_numpy(np.require(vectors[part], np.float32, ["C", "W"]))
        rows[part] = true
        lengths[part] = true.norm(dim=1)
        lost[part] = (true - rows[part]).norm(dim=1)
    return Rounded(rows, lengths, lost)


def doubt(asked: Rounded, *, longest: float, most_lost: float) -> "torch.Tensor":
    """(q,): how far q' . d' is from q . d at the most, for d no longer, and cut no more, than that.

    |q . d - q' . d'| <= |q - q'| |d| + |q'| |d - d'| (Cauchy and Schwarz). To it comes what summing
    up in float32 takes, in whatever order, here and where the pair is scored (Higham 2002, 3.1).
    """
    terms = asked.rows.shape[1] + 2
    apart = asked.lost * longest + (asked.lengths + asked.lost) * most_lost
    summed = 2 * terms * 2.0**-24 * (asked.lengths + asked.lost) * (longest + most_lost)
    return (apart + summed) * (1 + 1e-4) + 1e-30  # the lengths are float32's themselves


def floors(kth: "torch.Tensor", doubts: "torch.Tensor") -> "torch.Tensor":
    """(q,) bfloat16: a product below it is surely further than one of `kth`, also bfloat16."""
    import torch

    sure = kth.double()
    limit = sure - _UNIT * sure.abs() - 2 * doubts
    # Once for the rounding of the other product, once for that of the floor.
    return (limit - 2.1 * _UNIT * limit.abs()).to(torch.bfloat16)
