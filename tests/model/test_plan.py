"""An epoch's plan: every triplet once, no query twice in a batch, by the seed alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.model.plan import epoch_plan

queries = st.lists(st.integers(0, 12), min_size=1, max_size=80).map(np.array)


@given(queries, st.integers(1, 20), st.integers(0, 5))
def test_every_triplet_comes_once_and_no_query_twice_in_a_batch(
    query: np.ndarray, size: int, epoch: int
) -> None:
    plan = epoch_plan(np.arange(len(query)), query, size=size, seed=3, epoch=epoch)
    assert sorted(row for batch in plan for row in batch.tolist()) == list(range(len(query)))
    for batch in plan:
        assert len(batch) <= size
        assert len(set(query[batch].tolist())) == len(batch)


@given(queries, st.integers(2, 20))
def test_a_batch_is_smaller_only_where_no_other_query_waits(query: np.ndarray, size: int) -> None:
    plan = epoch_plan(np.arange(len(query)), query, size=size, seed=3, epoch=0)
    for number, batch in enumerate(plan):
        if len(batch) < size:
            later = [int(q) for other in plan[number + 1 :] for q in query[other]]
            assert set(later) <= set(query[batch].tolist())


def test_where_no_query_repeats_the_plan_is_the_shuffled_rows() -> None:
    rows = np.array([3, 5, 8, 9, 11])
    plan = epoch_plan(rows, np.arange(20), size=2, seed=1, epoch=4)
    assert (
        np.concatenate(plan).tolist() == rows[np.random.default_rng([1, 4]).permutation(5)].tolist()
    )
    assert [len(batch) for batch in plan] == [2, 2, 1]
