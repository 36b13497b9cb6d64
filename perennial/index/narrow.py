"""Exact search by cheap products: bfloat16 tells who may be among the nearest, float32 who is.

Who may be follows from a bound on what rounding does, so that the answer is that of float32; it
comes sooner where the CPU multiplies bfloat16 in hardware.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from perennial.index.exact import chunks_of, exact_search
from perennial.index.rounding import Rounded, doubt, floors, rounded

if TYPE_CHECKING:
    import torch

_QUERIES, _BLOCK, _ROWS, _FOLD = 16_384, 512, 8192, 32
_PAIRS = 512


def narrow_search(
    queries: np.ndarray, vectors: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """(q, d) and (n, d) float32 rows to (scores, rows), both (q, k), by inner product, best first.

    What exact_search finds, but for ties within float32's own rounding; each pair is scored by
    itself. Holds products of 512 queries with 8,192 rows at a time; absent is -inf, -1.
    """
    if min(len(vectors), _ROWS) // _FOLD < k:
        return exact_search(queries, chunks_of(vectors), k)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    for start in range(0, len(queries), _QUERIES):
        part = queries[start : start + _QUERIES]
        blocks = [part[at : at + _BLOCK] for at in range(0, len(part), _BLOCK)]
        for at, near in enumerate(_candidates([rounded(block) for block in blocks], vectors, k)):
            first = start + at * _BLOCK
            to = slice(first, first + len(blocks[at]))
            scores[to], rows[to] = _best(blocks[at], vectors, near.rows.numpy(), k)
            # Where so many are as near that to score each costs more than a search does.
            if len(crowded := np.flatnonzero(near.is_crowded.numpy())):
                asked = np.ascontiguousarray(blocks[at][crowded])
                found = exact_search(asked, chunks_of(vectors), k)[1]
                scores[first + crowded], rows[first + crowded] = _best(asked, vectors, found, k)
    return scores, rows


@cache
def is_quick() -> bool:
    """True where the CPU multiplies bfloat16 in tiles (AMX), several times as fast as float32."""
    import torch

    if not hasattr(torch.cpu, "get_capabilities"):
        return False  # older versions do not tell
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


@dataclass(frozen=True)
class _Near:
    """Who may be among the nearest of b queries so far: (b, w) products and rows, -inf and -1.

    `kth` (b,) is the k-th highest product. Of a crowded query nobody is kept.
    """

    products: "torch.Tensor"
    rows: "torch.Tensor"
    kth: "torch.Tensor"
    is_crowded: "torch.Tensor"


def _candidates(asked: list[Rounded], vectors: np.ndarray, k: int) -> list[_Near]:
    """For each block of queries everyone who may be among its k nearest."""
    import torch

    near: list[_Near | None] = [None] * len(asked)
    # Memory that is new for each product costs more than the product.
    held = torch.empty(_BLOCK * _ROWS, dtype=torch.bfloat16)
    longest = most_lost = 0.0
    for first in range(0, len(vectors), _ROWS):
        chunk = rounded(vectors[first : first + _ROWS])
        longest = max(longest, float(chunk.lengths.max()))
        most_lost = max(most_lost, float(chunk.lost.max()))
        for at, block in enumerate(asked):
            doubts = doubt(block, longest=longest, most_lost=most_lost)
            shape = len(block.rows), len(chunk.rows)
            products = held[: shape[0] * shape[1]].view(shape)
            torch.mm(block.rows, chunk.rows.T, out=products)
            near[at] = _nearer(near[at], products, doubts, first=first, k=k)
    return [each for each in near if each is not None]


def _nearer(
    before: _Near | None, products: "torch.Tensor", doubts: "torch.Tensor", *, first: int, k: int
) -> _Near:
    """Who is left after (b, w) products with the rows from `first` on."""
    import torch

    if over := -products.shape[1] % _FOLD:
        products = torch.nn.functional.pad(products, (0, over), value=-torch.inf)
    columns = products.shape[1] // _FOLD
    folded = products.view(len(products), _FOLD, columns)
    tops = folded.amax(1)
    if before is None:  # each column's top is a row of its own
        empty, kth = products.new_empty((len(products), 0)), tops.topk(k, dim=1).values[:, -1]
        nobody = torch.zeros(len(products), dtype=torch.bool)
        before = _Near(empty, empty.to(torch.int32), kth, nobody)
    most = 2 * k + 256
    floor = floors(before.kth, doubts).masked_fill(before.is_crowded, torch.inf)
    is_crowded = before.is_crowded | ((tops >= floor[:, None]).sum(1) > most)
    floor = floor.masked_fill(is_crowded, torch.inf)
    query, column = (tops >= floor[:, None]).nonzero(as_tuple=True)
    inside = folded[query, :, column]
    hit, place = (inside >= floor[query][:, None]).nonzero(as_tuple=True)
    query, found = query[hit], inside[hit, place]
    row = (first + place * columns + column[hit]).to(torch.int32)
    counts = torch.bincount(query, minlength=len(products))
    to = (query, torch.arange(len(query)) - (counts.cumsum(0) - counts)[query])
    new = products.new_full((len(products), max(int(counts.max()), k)), -torch.inf)
    new_row = torch.full(new.shape, -1, dtype=torch.int32)
    new[to], new_row[to] = found, row
    every = torch.cat([before.products, new], 1)
    every_row = torch.cat([before.rows, new_row], 1)
    kth = torch.maximum(before.kth, every.topk(k, dim=1).values[:, -1])
    floor = floors(kth, doubts).masked_fill(is_crowded, torch.inf)
    counts = (every >= floor[:, None]).sum(1)
    is_crowded |= counts > most
    width = max(k, int(counts.masked_fill(is_crowded, 0).max()))
    every, order = every.topk(width, dim=1)
    is_out = (every < floor[:, None]) | is_crowded[:, None]
    return _Near(
        every.masked_fill(is_out, -torch.inf),
        every_row.gather(1, order).masked_fill(is_out, -1),
        kth,
        is_crowded,
    )


def _best(
    asked: np.ndarray, vectors: np.ndarray, rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of each query's candidates, -1 for none, by their float32 scores."""
    rows = np.sort(rows.astype(np.int64), axis=1)
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    at, column = np.nonzero(rows >= 0)
    for start in range(0, len(at), _PAIRS):
        to = (at[start : start + _PAIRS], column[start : start + _PAIRS])
        scores[to] = np.einsum("ij,ij->i", asked[to[0]], vectors[rows[to]])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
