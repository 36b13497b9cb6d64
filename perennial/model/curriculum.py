"""Which of the mined negatives an epoch learns from: a mix of origins, from easy to hard."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lesson:
    """From an epoch on (0 is the first): weights of the origins, and a window of hardness.

    Of each origin's negatives in a triplet, those between the two shares in order of hardness are
    drawn: 0 to 1 is all, 0 to 0.5 the easier half, 0.5 to 1 the harder one.
    """

    from_epoch: int
    weights: tuple[float, ...]  # by number of origin
    easiest: float = 0.0
    hardest: float = 1.0


def lesson_of(curriculum: Sequence[Lesson], epoch: int) -> Lesson | None:
    """The lesson that began last; None before the first."""
    begun = [lesson for lesson in curriculum if lesson.from_epoch <= epoch]
    return max(begun, key=lambda lesson: lesson.from_epoch, default=None)


def pick_by_lesson(
    negatives: np.ndarray,
    origins: np.ndarray,
    count: int,
    lesson: Lesson,
    generator: np.random.Generator,
) -> np.ndarray:
    """(b, m) rows and their origins, hardest first in each, -1 for none, to the distinct chosen.

    At most `count` per row, without replacement, an origin as often as its weight says (by keys of
    Efraimidis and Spirakis 2006, in Gumbel form).
    """
    weight = np.zeros(negatives.shape)
    for number, share in enumerate(lesson.weights):
        own = (origins == number) & (negatives >= 0)
        many = own.sum(axis=1, keepdims=True)
        hardness = 1 - (np.cumsum(own, axis=1) - 0.5) / np.maximum(many, 1)
        inside = own & (hardness >= lesson.easiest) & (hardness <= lesson.hardest)
        weight += np.where(inside, share / np.maximum(inside.sum(axis=1, keepdims=True), 1), 0.0)
    with np.errstate(divide="ignore"):
        keys = np.log(weight) + generator.gumbel(size=weight.shape)
    order = np.argsort(-keys, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(negatives, order, axis=1)
    return np.unique(chosen[np.isfinite(np.take_along_axis(keys, order, axis=1))])
