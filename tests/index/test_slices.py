"""Searching in a slice, past tombstones, or for more than the lists hold, against brute force."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_index import FACTORIES, ROWS, SMALL, build, everywhere, grow, named, nearest, opened, unit
from tiny_release import fast_folder

from perennial.errors import BadInput
from perennial.index.index import Index
from perennial.index.selection import _KEPT_SLICES

pytestmark = pytest.mark.usefixtures("one_thread")


def slices_of(count: int) -> list[str | None]:
    """Every third document has none; "rare" has four; the others are even or odd."""
    names = [None if row % 3 == 0 else ("even", "odd")[row % 2] for row in range(count)]
    names[10:14] = ["rare"] * 4
    return names


def least_effort(index: Index) -> Index:
    """The index that looks at one list, so that whatever it finds beyond it came by widening."""
    return dataclasses.replace(index, settings={"nprobe": 1, "ef": 1})


@pytest.fixture(params=FACTORIES)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Index:
    """Two segments, the first with a tenth of its rows dead; document i is in slices_of(…)[i]."""
    factory = str(request.param)
    count = ROWS if "PQ" in factory else 400
    names = slices_of(count + 50)
    build(tmp_path, unit(count), named(count), factory=factory, slices=names[:count])
    later, ids = unit(50, seed=1), named(50, start=count)
    dead = {0: list(range(0, count, 10))}
    return grow(tmp_path, later, ids, dead=dead, slices=names[count:])


@pytest.mark.parametrize("slice", ["even", "odd", "rare"])
def test_a_slice_is_honoured_inside_the_search(index: Index, slice: str) -> None:
    names = slices_of(20_000)
    _, found = index.search(unit(20, seed=3), 8, slice=slice)
    flat = [name for name in found.ravel() if name is not None]
    assert {names[int(name[1:])] for name in flat} == {slice}
    assert all(int(name[1:]) % 10 or int(name[1:]) >= index.live - 50 for name in flat)
    # Document 10 is the rare one that is dead; the other three are found, whatever lies nearer.
    assert (found != None).sum(axis=1).tolist() == [3 if slice == "rare" else 8] * 20  # noqa: E711


def test_an_unknown_slice_finds_nothing(index: Index) -> None:
    scores, found = index.search(unit(2), 3, slice="never heard of")
    assert np.isneginf(scores).all() and (found == None).all()  # noqa: E711


def test_a_search_widens_until_it_has_k_or_has_seen_all(index: Index) -> None:
    narrow = least_effort(index)
    for k in (1, 100, index.live, index.live + 7):
        _, found = narrow.search(unit(3, seed=3), k)
        per_query = [[name for name in row if name is not None] for row in found]
        assert [len(names) for names in per_query] == [min(k, index.live)] * 3
        assert all(len(set(names)) == len(names) for names in per_query)
    assert sorted(per_query[0]) == sorted(index.doc_ids())


@pytest.mark.slow
def test_a_graph_widens_to_documents_that_no_edge_leads_to(tmp_path: Path) -> None:
    index = least_effort(
        build(tmp_path, unit(5000), named(5000), factory="HNSW4", recall_target=0.5)
    )
    for k in (1, 40, 5000):
        assert (index.search(unit(2, seed=3), k)[1] != None).all()  # noqa: E711
    rare = index.hiding(named(4995))
    assert sorted(rare.search(unit(1, seed=3), 5)[1][0]) == named(5, start=4995)


@settings(deadline=None, max_examples=40)
@given(
    factory=st.sampled_from(("Flat", "IVF8,Flat")),
    parts=st.lists(st.integers(1, 12), max_size=3),
    k=st.integers(1, 30),
    slice=st.sampled_from([None, "even", "odd", "rare"]),
    seed=st.integers(0, 50),
)
def test_any_filtered_search_finds_what_brute_force_finds(
    factory: str, parts: list[int], k: int, slice: str | None, seed: int
) -> None:
    names, generator = slices_of(400), np.random.default_rng(seed)
    with fast_folder() as folder:
        vectors = unit(320, seed=seed)
        index = build(folder, vectors, named(320), factory=factory, slices=names[:320])
        live, start = dict(zip(named(320), vectors, strict=True)), 320
        for size in parts:
            dead = np.flatnonzero(index.segments[0].dead | (generator.random(320) < 0.2)).tolist()
            fresh, ids = unit(size, seed=seed + start), named(size, start=start)
            wanted = names[start : start + size]
            index = grow(folder, fresh, ids, dead={0: dead}, slices=wanted)
            live |= dict(zip(ids, fresh, strict=True))
            live = {d: v for d, v in live.items() if int(d[1:]) not in dead}
            start += size
        inside = {d: v for d, v in live.items() if slice in (None, names[int(d[1:])])}
        for query in unit(3, seed=77):
            scores, found = everywhere(index).search(query[None, :], k, slice=slice)
            best, own = nearest(inside, query, k)
            assert scores[0, : len(best)] == pytest.approx(best, abs=1e-5)
            assert np.isneginf(scores[0, len(best) :]).all()
            hits = [name for name in found[0] if name is not None]
            assert len(hits) == len(set(hits)) == len(best)
            assert [own[name] for name in hits] == pytest.approx(best, abs=1e-5)


def test_few_rows_of_a_slice_are_all_looked_at(tmp_path: Path) -> None:
    vectors, rare = unit(400), slices_of(400)
    index = least_effort(build(tmp_path, vectors, named(400), factory="IVF8,Flat", slices=rare))
    inside = dict(zip(named(4, start=10), vectors[10:14], strict=True))
    for query in unit(20, seed=3):
        scores, _ = index.search(query[None, :], 2, slice="rare")
        assert scores[0] == pytest.approx(nearest(inside, query, 2)[0], abs=1e-6)


def test_more_slices_than_are_kept_at_hand_are_still_right(tmp_path: Path) -> None:
    many = 2 * _KEPT_SLICES
    names: list[str | None] = [f"tenant {row % many}" for row in range(300)]
    index = build(tmp_path, unit(300), named(300), slices=names)
    for number in [*range(many), 0, many - 1]:
        _, found = index.search(unit(1, seed=3), 3, slice=f"tenant {number}")
        assert {int(name[1:]) % many for name in found[0]} == {number}


@pytest.mark.parametrize("factory", SMALL)
def test_a_mapped_index_answers_as_one_in_memory(tmp_path: Path, factory: str) -> None:
    build(tmp_path, unit(400), named(400), factory=factory)
    one = grow(tmp_path, unit(20, seed=1), named(20, start=400), dead={0: [1, 2, 3]})
    mapped = opened(tmp_path, mmap=True)
    scores, found = one.search(unit(30, seed=2), 5)
    other_scores, other_found = mapped.search(unit(30, seed=2), 5)
    assert (scores == other_scores).all() and (found == other_found).all()


def test_rows_in_memory_are_shared_and_not_read_again(tmp_path: Path) -> None:
    build(tmp_path, unit(400), named(400), factory="IVF8,Flat")
    first = opened(tmp_path)
    grow(tmp_path, unit(20, seed=1), named(20, start=400), dead={0: [7]})
    (tmp_path / "segment-0000.faiss").unlink()  # what is in memory is not looked for
    (tmp_path / "segment-0000.parquet").unlink()
    second = opened(tmp_path, loaded={("segment-0000.faiss",): first.segments[0].rows})
    assert second.segments[0].rows is first.segments[0].rows
    assert int(second.template.this) == int(first.template.this)
    assert first.live == 400 and second.live == 419
    assert second.search(unit(400)[7:8], 1)[1][0, 0] != "d000007"
    assert first.search(unit(400)[7:8], 1)[1][0, 0] == "d000007"


def test_hidden_documents_are_found_no_more_and_the_index_itself_stays(tmp_path: Path) -> None:
    vectors = unit(400)
    index = build(tmp_path, vectors, named(400), factory="IVF8,Flat")
    hidden = index.hiding({"d000003", "unknown"})
    assert hidden.live == 399 and "d000003" not in hidden.doc_ids()
    assert hidden.search(vectors[3:4], 1)[1][0, 0] != "d000003"
    assert index.search(vectors[3:4], 1)[1][0, 0] == "d000003"
    assert hidden.segments[0].rows is index.segments[0].rows
    assert index.hiding([]).live == 400


def test_of_equal_documents_the_earlier_segment_stands_first(tmp_path: Path) -> None:
    same = np.repeat(unit(1), 3, axis=0)
    build(tmp_path, same, ["c", "b", "a"])
    index = grow(tmp_path, same, ["z", "y", "x"])
    names = [index.search(same[:1], 6)[1][0].tolist() for _ in range(3)]
    assert names[0] == names[1] == names[2]
    assert set(names[0][:3]) == {"a", "b", "c"} and set(names[0][3:]) == {"x", "y", "z"}


def test_a_search_for_no_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="k is 0"):
        build(tmp_path, unit(3), named(3)).search(unit(1), 0)
