"""How alike two systems' answers are, without asking which one is right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perennial.errors import BadInput
from perennial.quality.metrics import Floats, Integers, Rankings, as_table


@dataclass(frozen=True)
class Disagreement:
    """A query whose two answers are unlike; `row` is its place among those that were asked."""

    row: int
    query: str
    overlap: float
    rank_biased_overlap: float


def overlap_at(a: Rankings, b: Rankings, k: int) -> Floats:
    """(q,) documents in both top k, divided by the longer answer's length; two empty ones are 1."""
    agreed, _, longer = _agreement(a, b, k)
    shared = agreed[:, -1] if agreed.shape[1] else np.zeros(len(agreed))
    return np.where(longer > 0, shared / np.maximum(longer, 1), 1.0)


def rank_biased_overlap(a: Rankings, b: Rankings, *, persistence: float, k: int = 10) -> Floats:
    """(q,) RBO_ext of the top k: the agreement at depth d weighted by persistence ** d, in 0..1.

    Webber, Moffat and Zobel 2010, "A similarity measure for indefinite rankings", equation 32:
    extrapolated beyond k, and right for answers of unequal length. Two empty answers are 1.
    """
    agreed, shorter, longer = _agreement(a, b, k)
    p, depth = persistence, np.arange(1, agreed.shape[1] + 1)
    if not len(depth):
        return np.ones(len(agreed))
    some = shorter > 0
    s, length = np.maximum(shorter, 1), np.maximum(longer, 1)
    rows = np.arange(len(agreed))
    at_s, at_l = agreed[rows, s - 1] * some, agreed[rows, length - 1]
    # Below its end the shorter answer is taken to go on agreeing as it did.
    beyond = np.maximum(depth - s[:, None], 0) * (at_s / s)[:, None]
    inside = (agreed + beyond) / depth * p**depth * (depth <= length[:, None])
    tail = ((at_l - at_s) / length + at_s / s) * p**length
    score = (1 - p) / p * inside.sum(axis=1) + tail
    return np.clip(np.where(some, score, np.where(longer > 0, 0.0, 1.0)), 0.0, 1.0)


def most_different(
    queries: Sequence[str],
    a: Rankings,
    b: Rankings,
    *,
    persistence: float,
    examples: int,
    k: int = 10,
) -> list[Disagreement]:
    """The distinct queries with the least rank-biased overlap, least first; equal ones by row."""
    alike = rank_biased_overlap(a, b, persistence=persistence, k=k)
    shared = overlap_at(a, b, k)
    order = [int(row) for row in np.argsort(alike, kind="stable") if alike[row] < 1 - 1e-9]
    first = list({queries[row]: row for row in reversed(order)}.values())[::-1]
    return [
        Disagreement(row, queries[row], float(shared[row]), float(alike[row]))
        for row in first[:examples]
    ]


def _agreement(a: Rankings, b: Rankings, k: int) -> tuple[Floats, Integers, Integers]:
    """(q, depth) documents shared by the top d of both, then (q,) shorter and longer lengths."""
    left, right = as_table(a)[:, :k], as_table(b)[:, :k]
    if len(left) != len(right):
        raise BadInput(f"{len(left)} answers cannot be compared with {len(right)}; ask both alike.")
    codes, _ = pd.factorize(np.concatenate([left.ravel(), right.ravel()]))
    one = codes[: left.size].reshape(left.shape)
    two = codes[left.size :].reshape(right.shape)
    lengths = np.stack([(one >= 0).sum(axis=1), (two >= 0).sum(axis=1)])
    same = (one[:, :, None] == two[:, None, :]) & (one >= 0)[:, :, None]
    query, i, j = np.nonzero(same)
    depth = max(left.shape[1], right.shape[1])
    agreed = np.zeros((len(one), depth))
    np.add.at(agreed, (query, np.maximum(i, j)), 1.0)  # shared from the deeper rank on
    return np.cumsum(agreed, axis=1), lengths.min(axis=0), lengths.max(axis=0)
