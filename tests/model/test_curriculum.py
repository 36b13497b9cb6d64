"""A curriculum: an epoch sees the negatives its lesson says, and the seed alone decides."""

import numpy as np
import pytest

from perennial.model.curriculum import Lesson, lesson_of, pick_by_lesson

NEGATIVES = np.arange(2000 * 8).reshape(2000, 8)
ORIGINS = np.tile([0, 0, 1, 1, 1, 1, 2, 2], (2000, 1))


def pick(lesson: Lesson, count: int = 1, seed: int = 0) -> np.ndarray:
    """The chosen columns."""
    generator = np.random.default_rng(seed)
    return pick_by_lesson(NEGATIVES, ORIGINS, count, lesson, generator) % 8


def test_an_origin_comes_as_often_as_its_weight_says() -> None:
    origins = ORIGINS[0][pick(Lesson(0, (0.5, 0.3, 0.2)))]
    assert np.bincount(origins) / len(origins) == pytest.approx([0.5, 0.3, 0.2], abs=0.05)


def test_the_window_of_hardness_holds_in_each_origin() -> None:
    assert set(pick(Lesson(0, (1.0, 1.0, 1.0), hardest=0.5), count=8)) == {1, 4, 5, 7}
    assert set(pick(Lesson(0, (1.0, 1.0, 1.0), easiest=0.5), count=8)) == {0, 2, 3, 6}


def test_an_origin_of_weight_nought_and_padding_are_never_chosen() -> None:
    assert set(pick(Lesson(0, (1.0, 0.0, 1.0)), count=8)) == {0, 1, 6, 7}
    padded = np.full((3, 4), -1)
    chosen = pick_by_lesson(
        padded, np.full((3, 4), -1), 2, Lesson(0, (1.0, 1.0, 1.0)), np.random.default_rng(0)
    )
    assert len(chosen) == 0


def test_the_seed_alone_decides() -> None:
    lesson = Lesson(0, (1.0, 1.0, 1.0))
    assert np.array_equal(pick(lesson, seed=1), pick(lesson, seed=1))
    assert not np.array_equal(pick(lesson, seed=1), pick(lesson, seed=2))


def test_a_lesson_lasts_until_the_next_begins() -> None:
    first, second = Lesson(1, (1.0,)), Lesson(3, (0.5,))
    found = [lesson_of((second, first), epoch) for epoch in range(5)]
    assert found == [None, first, first, second, second]
