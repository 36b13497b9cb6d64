from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.serving.exploring import explore


@given(st.integers(0, 12), st.floats(0, 1), st.integers())
def test_every_document_is_shown_once_and_at_most_one_pair_swapped(length, share, seed):
    shown = explore(length, share=share, random=Random(seed))
    order = list(shown.order or range(length))
    assert sorted(order) == list(range(length))
    moved = [i for i in range(length) if order[i] != i]
    assert moved in ([], [moved[0], moved[0] + 1] if moved else [])
    assert (shown.order is not None) == bool(moved)
    assert len(shown.propensities) == length
    assert all(0 <= chance <= 1 for chance in shown.propensities)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_propensity_is_how_often_it_happens(share):
    times, random = 20_000, Random(5)
    seen, said = Counter(), {}
    for _ in range(times):
        shown = explore(4, share=share, random=random)
        for place in zip(shown.order or range(4), range(4), strict=True):
            seen[place] += 1
            chance = shown.propensities[place[1]]
            assert said.setdefault(place, chance) == chance
    for place, chance in said.items():
        assert seen[place] / times == pytest.approx(chance, abs=0.015)
