"""The sample of ordinary queries: proportionate by slice and outcome, fair, the same every time."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.quality.ordinary import ordinary, outcomes

SLICES = ["numpy"] * 60 + ["scipy"] * 30 + [None] * 10
OUTCOMES = [("won", "tied", "lost")[i % 3] for i in range(100)]


def sample(size: int, seed: int = 1, leave_out=()) -> list[int]:
    return ordinary(OUTCOMES, SLICES, leave_out=set(leave_out), size=size, seed=seed)


def test_won_tied_and_lost_are_told_from_the_scores_and_a_last_bit_is_a_tie():
    champion = np.array([0.5, 0.5, 0.1 + 0.2, 0.0])
    assert outcomes(np.array([0.7, 0.2, 0.3, 0.0]), champion) == ["won", "lost", "tied", "tied"]


def test_slices_and_outcomes_keep_their_shares():
    rows = sample(20)
    assert len(set(rows)) == 20
    assert Counter(SLICES[row] for row in rows) == {"numpy": 12, "scipy": 6, None: 2}
    for count in Counter(OUTCOMES[row] for row in rows).values():
        assert 5 <= count <= 8


def test_every_query_has_the_same_chance():
    seen = Counter(row for seed in range(600) for row in sample(10, seed))
    counts = np.array([seen[row] for row in range(100)])
    assert counts.mean() == 60
    assert (abs(counts - 60) < 5 * np.sqrt(60 * 0.9)).all()


@given(
    size=st.integers(1, 120),
    seed=st.integers(0, 2**32 - 1),
    leave_out=st.sets(st.integers(0, 99)),
)
def test_the_sample_has_its_size_none_twice_and_none_of_those_shown_elsewhere(
    size, seed, leave_out
):
    rows = sample(size, seed, leave_out)
    assert len(rows) == len(set(rows)) == min(size, 100 - len(leave_out))
    assert not set(rows) & leave_out
    assert rows == sample(size, seed, leave_out)
