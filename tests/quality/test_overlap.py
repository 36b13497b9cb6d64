"""Overlap and rank-biased overlap against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput
from perennial.quality.overlap import most_different, overlap_at, rank_biased_overlap

ANSWER = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=10)


def slowly(a: list[str], b: list[str], p: float) -> float:
    """RBO_ext of two rankings, term by term (Webber et al. 2010, equation 32)."""
    short, long = sorted((a, b), key=len)
    s, length = len(short), len(long)
    if not length:
        return 1.0
    if not s:
        return 0.0

    def shared(d: int) -> int:
        return len(set(short[:d]) & set(long[:d]))

    total = sum(shared(d) / d * p**d for d in range(1, length + 1))
    total += sum(shared(s) * (d - s) / (s * d) * p**d for d in range(s + 1, length + 1))
    tail = ((shared(length) - shared(s)) / length + shared(s) / s) * p**length
    return (1 - p) / p * total + tail


@given(st.lists(st.tuples(ANSWER, ANSWER), min_size=1, max_size=5), st.floats(0.1, 0.98))
def test_rank_biased_overlap_agrees_with_its_definition(pairs, p):
    a, b = [one for one, _ in pairs], [other for _, other in pairs]
    expected = [slowly(one, other, p) for one, other in pairs]
    assert rank_biased_overlap(a, b, persistence=p).tolist() == pytest.approx(expected)


@given(ANSWER, ANSWER)
def test_both_are_symmetric_and_within_zero_and_one(a, b):
    for measure in (
        lambda x, y: rank_biased_overlap([x], [y], persistence=0.9)[0],
        lambda x, y: overlap_at([x], [y], 10)[0],
    ):
        assert 0 <= measure(a, b) <= 1
        assert measure(a, b) == pytest.approx(measure(b, a))
        assert measure(a, a) == pytest.approx(1.0)


def test_disagreement_at_the_top_counts_more():
    whole = [list("abcdefghij")]
    top, bottom = [list("xbcdefghij")], [list("abcdefghix")]
    assert overlap_at(whole, top, 10) == overlap_at(whole, bottom, 10) == [0.9]
    low = rank_biased_overlap(whole, top, persistence=0.9)
    assert low < rank_biased_overlap(whole, bottom, persistence=0.9)


def test_overlap_divides_by_the_longer_answer_and_arrays_may_miss_answers():
    a = np.array([["x", "y", None], [None, None, None], [None, None, None]], dtype=object)
    b = np.array([["y", None, None], [None, None, None], ["x", "y", "z"]], dtype=object)
    assert overlap_at(a, b, 10).tolist() == [0.5, 1.0, 0.0]


def test_the_most_different_come_first_once_each_and_equal_answers_never():
    queries = ["same", "unlike", "near", "unlike"]
    a = [list("abc"), list("abc"), list("abc"), list("abc")]
    b = [list("abc"), list("xyz"), list("abz"), list("xyz")]
    found = most_different(queries, a, b, persistence=0.9, examples=5)
    assert [(d.query, d.row) for d in found] == [("unlike", 1), ("near", 2)]
    assert found[0].overlap == found[0].rank_biased_overlap == 0.0


def test_answers_to_different_numbers_of_queries_are_refused():
    with pytest.raises(BadInput, match="1 answers cannot be compared with 2"):
        overlap_at([["a"]], [["a"], ["b"]], 10)
