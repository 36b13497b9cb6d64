"""Which rows nothing beats in everything at once, against the loop; and what 1,000 queries cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.quality.frontier import cost_of_queries, undominated

COSTS = st.integers(1, 4).flatmap(
    lambda m: st.lists(st.lists(st.integers(0, 3), min_size=m, max_size=m), min_size=1, max_size=8)
)


@given(COSTS)
def test_a_row_is_out_only_where_another_is_as_good_in_all_and_better_in_one(rows):
    def beats(one, other):
        return all(a <= b for a, b in zip(one, other, strict=True)) and one != other

    slow = [not any(beats(one, other) for one in rows) for other in rows]
    assert undominated(np.array(rows, dtype=float)).tolist() == slow


def test_equal_rows_do_not_beat_each_other():
    assert undominated(np.ones((3, 2))).all()


def test_queries_cost_the_core_that_works_and_the_memory_that_waits():
    prices = {"per_core_hour": 0.36, "per_gigabyte_hour": 0.036}
    # 10 s of a core at 0.0001 a second, and 2 GB for 100 s at 0.00001 a second and gigabyte
    cost = cost_of_queries(seconds=0.01, memory=2_000_000_000, rate=10, **prices)
    assert cost == pytest.approx(0.001 + 0.002)
