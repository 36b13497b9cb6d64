"""Small segments laid together in memory answer as they do apart, and stay shared."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_index import build, grow, named, opened, unit

from perennial.index.gather import plan_gathering
from perennial.index.index import Index

LISTS = ["IVF8,Flat", "IVF8,SQ8"]
_COUNT = 400


def grown(folder: Path, factory: str) -> Index:
    """A base and three increments with dead rows in each; the second repeats vectors of the
    first, so that scores are equal, and only some have slices."""
    build(folder, unit(_COUNT), named(_COUNT), factory=factory)
    later = unit(30, seed=1)
    grow(folder, later[:20], named(20, start=400), dead={0: [1, 2, 3]}, slices=["a", "b"] * 10)
    grow(folder, later[:12], named(12, start=420), dead={1: [4]})
    three = [None, "c", "b"] * 6
    return grow(folder, later[12:], named(18, start=432), dead={2: [0, 5]}, slices=three)


@pytest.mark.parametrize("factory", LISTS)
def test_segments_laid_together_answer_as_they_do_apart(tmp_path: Path, factory: str) -> None:
    index = grown(tmp_path, factory)
    together = index.gathered()
    assert len(index.segments) == 4 and len(together.segments) == 2
    assert together.segments[0] is index.segments[0]
    assert together.live == index.live and sorted(together.doc_ids()) == sorted(index.doc_ids())
    queries = np.concatenate([unit(30, seed=1), unit(30, seed=2)])
    scores, names = together.search(queries[1:2], 2)
    assert scores[0, 0] == scores[0, 1] and names.tolist() == [["d000401", "d000421"]]
    for k in (1, 5, 450):
        apart, one = index.search(queries, k), together.search(queries, k)
        assert (apart[0] == one[0]).all()
        assert (apart[1] == one[1]).all()
    for slice in "abc":
        apart, one = (each.search(queries, 12, slice=slice) for each in (index, together))
        assert (apart[1] == one[1]).all() and one[1][0, 0] is not None
    hidden = ["d000405", "d000421", "d000009"]
    apart, one = (each.hiding(hidden).search(queries, 5) for each in (index, together))
    assert (apart[1] == one[1]).all() and not np.isin(one[1], hidden).any()


def test_scans_stay_as_they_are(tmp_path: Path) -> None:
    index = grown(tmp_path, "Flat")
    assert index.gathered().segments == index.segments


def test_what_was_laid_together_is_shared_and_one_more_goes_on_top(tmp_path: Path) -> None:
    before = grown(tmp_path, "IVF8,Flat").gathered()
    masks = [segment.dead.copy() for segment in before.segments]
    grow(tmp_path, unit(5, seed=3), named(5, start=450), dead={1: [4, 7], 3: [1, 2]})
    for name in before.segments[1].names:
        (tmp_path / name).unlink()  # what is in memory is not looked for
    after = opened(tmp_path, loaded={s.names: s.rows for s in before.segments})
    assert [segment.rows for segment in after.segments[:2]] == [s.rows for s in before.segments]
    assert len(after.segments) == 3 and after.live == before.live - 3 + 5
    gone = {"d000407", "d000433", "d000434"}
    assert {*before.doc_ids()} - {*after.doc_ids()} == gone
    assert all((one == s.dead).all() for one, s in zip(masks, before.segments, strict=True))


@given(sizes=st.lists(st.integers(0, 100_000), min_size=1, max_size=40))
def test_every_segment_stands_in_one_run_of_neighbours_that_is_small(sizes: list[int]) -> None:
    runs = plan_gathering(sizes)
    assert [position for run in runs for position in run] == list(range(len(sizes)))
    for run in runs:
        assert len(run) == 1 or sum(sizes[i] for i in run) <= 0.2 * sum(sizes)


def test_one_more_small_segment_leaves_most_runs_as_they_are() -> None:
    sizes, copied = [200_000], 0
    before: set[tuple[int, ...]] = set()
    for _ in range(16):
        sizes.append(1_500)
        runs = plan_gathering(sizes)
        copied += sum(sum(sizes[i] for i in run) for run in {*runs} - before if len(run) > 1)
        before = {*runs}
        assert len(runs) <= 4
    assert copied < 16 * 16 * 1_500 / 2 / 2  # copying all of them each time would be twice that
