"""Forwards of a bounded number of tokens: nothing lost, nothing beyond the budget, little waste."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.model.pieces import columns, padding_share, pieces, rounded

lengths = st.lists(st.integers(0, 300), max_size=60).map(lambda each: np.array(each, dtype=int))


@given(lengths, st.integers(1, 1000))
def test_every_text_goes_forward_once_within_the_budget(given: np.ndarray, budget: int) -> None:
    cuts = pieces(given, budget=budget)
    assert sorted(row for cut in cuts for row in cut.tolist()) == list(range(len(given)))
    for cut in cuts:
        assert len(cut) == 1 or rounded(len(cut)) * given[cut].max() <= budget
    assert 0.0 <= padding_share(given, cuts, most=512) <= 1.0


@given(lengths, st.integers(300, 1000))
def test_texts_of_like_length_go_together(given: np.ndarray, budget: int) -> None:
    cuts = pieces(given, budget=budget)
    for longer, shorter in itertools.pairwise(cuts):
        assert given[longer].min() >= given[shorter].max()


def places(given: np.ndarray, cuts: list[np.ndarray]) -> int:
    """Of the forwards, each counted as 128 more."""
    return sum(rounded(len(cut)) * max(1, int(given[cut].max())) + 128 for cut in cuts)


@given(st.lists(st.integers(0, 120), min_size=1, max_size=9).map(np.array), st.integers(120, 600))
def test_no_other_cut_costs_less(given: np.ndarray, budget: int) -> None:
    order = np.argsort(-given, kind="stable")
    costs = []
    for marks in itertools.product([False, True], repeat=len(given) - 1):
        cuts = np.split(order, np.flatnonzero(marks) + 1)
        if all(rounded(len(cut)) * max(1, given[cut].max()) <= budget for cut in cuts):
            costs.append(places(given, cuts))
    assert places(given, pieces(given, budget=budget)) == min(costs)


@given(st.integers(1, 10_000), st.integers(1, 1_000))
def test_a_forward_has_one_of_few_shapes_that_are_little_larger(count: int, most: int) -> None:
    assert count <= rounded(count) <= 1.25 * count
    assert len({rounded(n) for n in range(1, count + 1)}) <= 4 * count.bit_length()
    for longest in range(1, most + 1):
        assert longest <= columns(longest, most=most) <= min(most, longest + max(15, longest // 4))


def test_the_padding_is_what_a_rectangle_adds() -> None:
    given = np.array([40, 16, 40, 30])
    assert padding_share(given, [np.array([0, 2]), np.array([1, 3])], most=128) == 1 - 126 / 160
    assert padding_share(given, [np.array([0, 2]), np.array([1, 3])], most=40) == 1 - 126 / 144
    assert padding_share(np.array([], dtype=int), [], most=128) == 0.0
