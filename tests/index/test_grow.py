"""Increments, compaction and full builds hold the same documents and give the same answers."""

from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_index import (
    FACTORIES,
    LOSSLESS,
    MADE_BY,
    ROWS,
    build,
    described,
    digests,
    everywhere,
    grow,
    merge,
    named,
    nearest,
    opened,
    unit,
)
from tiny_release import fast_folder

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.index.compact import plan_compaction
from perennial.index.description import read_description
from perennial.index.exact import stored_vectors
from perennial.index.factory import parse
from perennial.index.increment import add_segment
from perennial.index.index import Index
from perennial.index.template import read_template

pytestmark = pytest.mark.usefixtures("one_thread")


def documents(index: Index) -> dict[str, np.ndarray]:
    """Every living document and its vector as stored; a doc_id that comes twice is an error."""
    held: dict[str, np.ndarray] = {}
    for segment in index.segments:
        for rows, vectors in stored_vectors(segment):
            for row, vector in zip(rows, vectors, strict=True):
                doc_id = segment.rows.doc_ids[int(row)].as_py()
                assert doc_id not in held
                held[doc_id] = np.array(vector)
    return held


def rows_of(factory: str) -> int:
    return ROWS if "PQ" in factory else 400


@pytest.mark.parametrize("factory", FACTORIES)
def test_an_increment_and_its_compaction_find_what_a_full_build_finds(
    tmp_path: Path, factory: str
) -> None:
    count = rows_of(factory)
    first, later = unit(count, seed=1), unit(60, seed=2)
    ids = named(count)
    build(tmp_path / "i", first, ids, factory=factory)
    # Documents 20 to 39 are replaced, 0 to 19 deleted, and forty are new.
    fresh = [*ids[20:40], *named(40, start=count)]
    grown = grow(tmp_path / "i", later, fresh, dead={0: list(range(40))})
    merged = merge(tmp_path / "i", tmp_path / "j")
    assert grown.live == merged.live == count - 40 + 60
    assert sorted(grown.doc_ids()) == sorted(merged.doc_ids()) == sorted([*ids[40:], *fresh])
    assert len(merged.segments) == 1 and not merged.segments[0].dead.any()

    probes = unit(25, seed=3)
    wide = {"nprobe": 8, "ef": 10_000}  # everywhere, so that only encoding could differ
    one, two = (index.search_rows(probes, 10, settings=wide) for index in (grown, merged))
    assert one.scores == pytest.approx(two.scores, abs=1e-6)
    assert (grown.names(one) == merged.names(two)).all()
    if factory in LOSSLESS:
        live = dict(zip(ids[40:], first[40:], strict=True)) | dict(zip(fresh, later, strict=True))
        for index in (grown, merged):
            held = documents(index)
            assert held.keys() == live.keys()
            assert all((held[doc_id] == live[doc_id]).all() for doc_id in live)


@pytest.mark.parametrize("factory", ["IVF8,Flat", "IVF8,SQ8"])
def test_a_merge_of_lists_is_byte_for_byte_a_build_with_the_same_quantizer(
    tmp_path: Path, factory: str
) -> None:
    first, later = unit(400, seed=1), unit(60, seed=2)
    index = build(tmp_path / "i", first, named(400), factory=factory)
    grow(tmp_path / "i", later, named(60, start=400), dead={0: [0, 399]}, version=0)
    merge(tmp_path / "i", tmp_path / "j")
    alive = np.concatenate([first[1:399], later])
    ids = [*named(398, start=1), *named(60, start=400)]
    given = {"text_digests": digests(ids), "slices": None, "seed": 5, "factory": factory}
    name = "segment-0099"
    add_segment(
        tmp_path / "k", name=name, template=index.template, vectors=alive, doc_ids=ids, **given
    )
    for end in ("faiss", "parquet"):
        ours, theirs = (tmp_path / folder / f"{name}.{end}" for folder in "jk")
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_same_changes_give_the_same_bytes(tmp_path: Path, factory: str) -> None:
    count = rows_of(factory)
    for folder in ("one", "two"):
        build(tmp_path / folder, unit(count, seed=1), named(count), factory=factory)
        grow(tmp_path / folder, unit(9, seed=2), named(9, start=count), dead={0: [3, 5]})
        merge(tmp_path / folder, tmp_path / folder / "merged")
    paths = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(paths) > 7
    for path in paths:
        assert (
            path.read_bytes()
            == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
        )


@pytest.mark.slow
def test_a_large_graph_is_rebuilt_and_a_small_increment_of_it_is_a_scan(tmp_path: Path) -> None:
    ids = named(6000)
    index = build(tmp_path, unit(6000), ids, factory="HNSW8", recall_target=0.95)
    assert isinstance(index.segments[0].rows.vectors, faiss.IndexHNSW)
    grown = grow(tmp_path, unit(50, seed=2), named(50, start=6000), dead={0: list(range(100))})
    assert isinstance(grown.segments[1].rows.vectors, faiss.IndexFlat)
    merged = merge(tmp_path, tmp_path / "merged")
    assert isinstance(merged.segments[0].rows.vectors, faiss.IndexHNSW)
    held = documents(merged)
    assert held.keys() == documents(grown).keys() == set(named(5950, start=100))
    probes = unit(50, seed=9)
    for other in (grown, merged):
        found, _ = other.search(probes, 10)
        wanted = np.array([nearest(held, probe, 10)[0] for probe in probes])
        assert (found >= wanted[:, -1:] - 1e-5).mean() > 0.93


def test_a_forgotten_document_is_physically_left_out(tmp_path: Path) -> None:
    vectors = unit(400)
    build(tmp_path, vectors, named(400), factory="IVF8,Flat")
    without = merge(tmp_path, tmp_path / "without", without=["d000007", "never-there"])
    assert without.doc_ids() == [doc_id for doc_id in named(400) if doc_id != "d000007"]
    written = b"".join(path.read_bytes() for path in sorted((tmp_path / "without").iterdir()))
    assert vectors[7].tobytes() not in written and b"d000007" not in written
    assert vectors[8].tobytes() in written  # the scan would have found it


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW8"])
def test_an_index_that_lost_every_document_can_be_compacted_and_searched(
    tmp_path: Path, factory: str
) -> None:
    build(tmp_path, unit(400), named(400), factory=factory)
    empty = merge(tmp_path, tmp_path / "empty", without=named(400))
    assert empty.live == 0 and empty.doc_ids() == [] and documents(empty) == {}
    scores, doc_ids = empty.search(unit(2), 3)
    assert np.isneginf(scores).all() and (doc_ids == None).all()  # noqa: E711
    again = grow(tmp_path / "empty", unit(5), named(5))
    assert sorted(again.search(unit(1), 5)[1][0]) == named(5)


def test_text_digests_and_slices_survive_a_compaction(tmp_path: Path) -> None:
    build(tmp_path, unit(3), named(3), slices=["x", None, "y"])
    # A segment of part one's format has no slices.
    grow(tmp_path, unit(2, seed=1), named(2, start=3))
    path = tmp_path / "segment-0001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["slice"]), path)
    merge(tmp_path, tmp_path / "merged")
    table = pq.read_table(tmp_path / "merged" / "segment-0099.parquet")
    assert table["slice"].to_pylist() == ["x", None, "y", None, None]
    assert table["text_digest"].to_pylist() == [
        *digests(named(3)),
        *digests(named(2, start=3), version=1),
    ]


# ---- the shared quantizer


@pytest.mark.parametrize("factory", FACTORIES)
def test_an_increment_costs_its_rows_and_no_quantizer(tmp_path: Path, factory: str) -> None:
    count = rows_of(factory)
    index = build(tmp_path, unit(count), named(count), factory=factory)
    grow(tmp_path, unit(20, seed=1), named(20, start=count))
    row = parse(index.factory, dimension=16).bytes_per_row(16)
    assert (tmp_path / "segment-0001.faiss").stat().st_size <= 20 * row + 1500


def test_segments_share_one_quantizer_in_memory(tmp_path: Path) -> None:
    build(tmp_path, unit(400), named(400), factory="IVF8,Flat")
    index = grow(tmp_path, unit(20, seed=1), named(20, start=400))
    assert len({int(segment.rows.coarse.this) for segment in index.segments}) == 1
    assert int(index.template.quantizer.this) == int(index.segments[0].rows.coarse.this)


def test_a_quantizer_of_another_training_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "one", unit(400), named(400), factory="IVF8,Flat")
    build(tmp_path / "two", unit(400, seed=1), named(400), factory="IVF8,Flat")
    foreign = (tmp_path / "two" / "quantizer.faiss").read_bytes()
    (tmp_path / "one" / "quantizer.faiss").write_bytes(foreign)
    with pytest.raises(EncoderMismatch, match=r"segment-0000\.faiss was encoded with quantizer"):
        opened(tmp_path / "one")


def test_a_flipped_bit_of_the_quantizer_is_refused(tmp_path: Path) -> None:
    build(tmp_path, unit(400), named(400), factory="IVF8,Flat")
    path = tmp_path / "quantizer.faiss"
    data = path.read_bytes()
    for position in (0, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(IntegrityError):  # EncoderMismatch is one
            opened(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"something else", "segment", "flat"])
def test_a_quantizer_that_is_none_is_refused(tmp_path: Path, content: bytes | str | None) -> None:
    build(tmp_path, unit(400), named(400), factory="IVF8,Flat")
    path = tmp_path / "quantizer.faiss"
    path.unlink()
    if content == "segment":
        content = (tmp_path / "segment-0000.faiss").read_bytes()
    if content == "flat":
        content = faiss.serialize_index(faiss.IndexFlatIP(16)).tobytes()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IntegrityError, match="quantizer"):
        opened(tmp_path)


def test_a_segment_without_its_quantizer_is_refused(tmp_path: Path) -> None:
    index = build(tmp_path, unit(400), named(400), factory="IVF8,Flat")
    rows = read_description(tmp_path)["segments"]
    with pytest.raises(EncoderMismatch, match="but the index has none"):
        described(tmp_path, Index(MADE_BY, 16, "Flat", {}, index.segments), rows)


def test_vectors_that_the_quantizer_does_not_fit_are_refused(tmp_path: Path) -> None:
    index = build(tmp_path, unit(400), named(400), factory="IVF8,Flat")
    given = {"doc_ids": ["a"], "text_digests": ["x"], "slices": None, "seed": 5}
    given |= {"name": "segment-0001", "factory": "IVF8,Flat"}
    with pytest.raises(BadInput, match=r"of 8 dimensions cannot be encoded .* a 16-dimensional"):
        add_segment(tmp_path, template=index.template, vectors=unit(1, dimension=8), **given)
    with pytest.raises(BadInput, match="with no quantizer"):
        add_segment(tmp_path, template=None, vectors=unit(1), **given)
    broken = np.full((1, 16), np.nan, dtype=np.float32)
    with pytest.raises(BadInput, match="the vector of document a holds NaN"):
        add_segment(tmp_path, template=index.template, vectors=broken, **given)


def test_lists_of_a_first_release_that_own_their_quantizer_are_still_read(tmp_path: Path) -> None:
    vectors = unit(400)
    build(tmp_path, vectors, named(400), factory="IVF8,Flat")
    template, _ = read_template(tmp_path / "quantizer.faiss", dimension=16)
    template.add(vectors)
    faiss.write_index(template, str(tmp_path / "segment-0000.faiss"))
    path = tmp_path / "segment-0000.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    (tmp_path / "quantizer.faiss").unlink()
    rows = read_description(tmp_path)["segments"]
    old = described(tmp_path, Index(MADE_BY, 16, "IVF8,Flat", {"nprobe": 8}, ()), rows)
    assert old.search(vectors[:20], 1)[1].ravel().tolist() == named(20)
    with pytest.raises(BadInput, match="names no shared quantizer"):
        merge(tmp_path, tmp_path / "merged")


# ---- a random life


@settings(deadline=None, max_examples=25)
@given(data=st.data(), factory=st.sampled_from(LOSSLESS))
def test_after_any_life_an_index_answers_as_a_dict_would(data: st.DataObject, factory: str) -> None:
    with fast_folder() as folder:
        vectors = unit(320, seed=1)
        build(folder / "i", vectors, named(320), factory=factory)
        live = dict(zip(named(320), vectors, strict=True))
        at = folder / "i"
        for step in range(data.draw(st.integers(1, 5))):
            if data.draw(st.booleans()):
                numbers = data.draw(st.lists(st.integers(280, 360), unique=True, max_size=12))
                ids = [f"d{number:06d}" for number in numbers]
                cut = data.draw(st.integers(0, len(ids)))
                gone, put = ids[:cut], ids[cut:]
                fresh = unit(len(put), seed=100 + step)
                dead = {
                    number: np.flatnonzero(
                        segment.dead | np.isin(segment.rows.doc_ids.to_pylist(), ids)
                    ).tolist()
                    for number, segment in enumerate(opened(at).segments)
                }
                index = grow(at, fresh, put, dead=dead)
                for doc_id in gone:
                    live.pop(doc_id, None)
                live |= dict(zip(put, fresh, strict=True))
            else:
                index = merge(at, folder / str(step))
                at = folder / str(step)
            held = documents(index)
            assert held.keys() == live.keys() and index.live == len(live)
            assert all((held[doc_id] == live[doc_id]).all() for doc_id in live)
        for probe in unit(3, seed=9):
            scores, names = everywhere(index).search(probe[None, :], 10)
            wanted, own = nearest(live, probe, 10)
            assert scores[0] == pytest.approx(wanted, abs=1e-5)
            assert [own[name] for name in names[0]] == pytest.approx(wanted, abs=1e-5)


# ---- the plan


@st.composite
def sizes(draw: st.DrawFn) -> list[tuple[int, int]]:
    rows = draw(st.lists(st.integers(0, 10_000), max_size=24))
    return [(count, draw(st.integers(0, count))) for count in rows]


@given(sizes(), st.integers(2, 8), st.floats(0, 1), st.integers(1, 12))
def test_after_a_plan_no_limit_is_passed(
    sizes: list[tuple[int, int]], fanout: int, max_dead_share: float, max_segments: int
) -> None:
    limits = {"fanout": fanout, "max_dead_share": max_dead_share, "max_segments": max_segments}
    groups = plan_compaction(sizes, **limits)
    merged = [number for group in groups for number in group]
    assert len(merged) == len(set(merged)) and set(merged) <= set(range(len(sizes)))
    kept = [size for number, size in enumerate(sizes) if number not in merged]
    kept += [(sum(sizes[n][1] for n in group),) * 2 for group in groups]
    assert len(kept) <= max_segments
    assert all(live >= (1 - max_dead_share) * rows - 1e-6 for rows, live in kept)
    again = plan_compaction([size for size in kept if size[0]], **limits)
    assert again == []


def test_a_row_is_rewritten_once_a_tier() -> None:
    sizes: list[tuple[int, int]] = []
    written = 0
    for _ in range(256):
        sizes.append((10, 10))
        for group in plan_compaction(sizes, fanout=4, max_dead_share=0.5, max_segments=16):
            total = sum(sizes[number][1] for number in group)
            written += total
            sizes = [size for n, size in enumerate(sizes) if n not in group] + [(total, total)]
    assert sum(rows for rows, _ in sizes) == 2560
    assert written <= 5 * 2560  # log4 of 256 is 4, and its rounding


def test_a_large_segment_is_left_alone_by_small_ones() -> None:
    sizes = [(200_000, 199_000), (2000, 2000), (2000, 1900), (2000, 2000), (2000, 2000)]
    plan = plan_compaction(sizes, fanout=4, max_dead_share=0.2, max_segments=8)
    assert plan == [(1, 2, 3, 4)]
    worn = [(200_000, 159_000), (2000, 2000)]
    assert plan_compaction(worn, fanout=4, max_dead_share=0.2, max_segments=8) == [(0,)]
