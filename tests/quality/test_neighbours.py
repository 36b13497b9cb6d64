"""What the neighbours' slices say of one's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.quality.neighbours import slice_accuracy

SLICE = st.sampled_from(["a", "b", "c", None])


def slowly(neighbours: list, own: str) -> float:
    """The vote of one row, counted one by one."""
    named = [name for name in neighbours if name is not None]
    if not named:
        return 0.0
    most = max(named.count(name) for name in named)
    return float(next(name for name in named if named.count(name) == most) == own)


@given(st.lists(st.tuples(st.lists(SLICE, min_size=4, max_size=4), SLICE), min_size=1, max_size=8))
def test_the_vote_is_the_counted_one(world):
    table = np.array([row for row, _ in world], dtype=object)
    own = [name for _, name in world]
    expected = [slowly(row, name) for row, name in world if name is not None]
    assert slice_accuracy(table, own).tolist() == expected


def test_of_equally_many_the_nearest_decides_and_what_is_unknown_says_nothing():
    table = np.array([["b", "a", "a", "b"], [None, "a", np.nan, None]], dtype=object)
    assert slice_accuracy(table, ["b", "a"]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("own", [[], [None, None]])
def test_without_a_known_slice_there_is_nothing_to_score(own):
    table = np.full((len(own), 3), "a", dtype=object)
    assert slice_accuracy(table, own).tolist() == []
