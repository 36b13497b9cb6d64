"""Searching an index against brute force: segments, tombstones, lists, and too large a k."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.index.build import build_index
from perennial.index.codes import encoded
from perennial.index.description import segment_row, write_description
from perennial.index.factory import Factory
from perennial.index.index import Index
from perennial.index.segment import write_segment

pytestmark = pytest.mark.usefixtures("one_thread")
MADE_BY, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def unit(count: int, *, dimension: int = 8, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def write(directory: Path, segments: list[tuple[np.ndarray, list[str], list[int]]]) -> Path:
    """An index folder of (vectors, doc_ids, dead rows) segments."""
    rows = []
    for number, (vectors, doc_ids, dead) in enumerate(segments):
        name = f"segment-{number:04d}"
        write_segment(
            directory,
            name=name,
            vectors=encoded(vectors, factory=Factory("Flat"), template=None),
            doc_ids=doc_ids,
            text_digests=["sha256:0"] * len(doc_ids),
        )
        if dead:
            np.save(directory / f"{name}.tombstones.npy", np.array(dead, dtype=np.uint32))
        rows.append(segment_row(name, rows=len(doc_ids), dead=len(dead)))
    describe(directory, rows, dimension=segments[0][0].shape[1])
    return directory


def describe(
    directory: Path, rows: list[dict[str, Any]], *, dimension: int = 8, **changes: Any
) -> None:
    given: dict[str, Any] = {"factory": "Flat", "search": {}} | changes
    write_description(
        directory, encoder_digest=MADE_BY, dimension=dimension, segments=rows, **given
    )


def brute_force(
    segments: list[tuple[np.ndarray, list[str], list[int]]], query: np.ndarray
) -> list[tuple[float, str]]:
    """Every live document by falling similarity: the obvious twin."""
    scored = [
        (float(vectors[row] @ query), doc_ids[row])
        for vectors, doc_ids, dead in segments
        for row in range(len(doc_ids))
        if row not in dead
    ]
    return sorted(scored, reverse=True)


@st.composite
def indexes(draw: st.DrawFn) -> list[tuple[np.ndarray, list[str], list[int]]]:
    segments = []
    for number in range(draw(st.integers(1, 4))):
        rows = draw(st.integers(1, 12))
        vectors = unit(rows, seed=draw(st.integers(0, 999)))
        dead = draw(st.lists(st.integers(0, rows - 1), unique=True))
        segments.append((vectors, [f"d{number}-{row}" for row in range(rows)], sorted(dead)))
    return segments


@settings(deadline=None, max_examples=60)
@given(indexes(), st.integers(1, 40))
def test_a_search_finds_what_brute_force_finds(
    segments: list[tuple[np.ndarray, list[str], list[int]]], k: int
) -> None:
    queries = unit(5, seed=1_000)
    with TemporaryDirectory() as folder:
        index = Index.open(write(Path(folder), segments), encoder_digest=MADE_BY)
    live = [d for _, ids, dead in segments for row, d in enumerate(ids) if row not in dead]
    assert index.doc_ids() == live and index.live == len(live)
    scores, doc_ids = index.search(queries, k)
    assert scores.shape == doc_ids.shape == (5, k)
    assert scores.dtype == np.float32
    for query, found, names in zip(queries, scores, doc_ids, strict=True):
        wanted = brute_force(segments, query)[:k]
        missing = k - len(wanted)
        assert found[: len(wanted)].tolist() == pytest.approx([s for s, _ in wanted], abs=1e-5)
        # Compared by score: documents of equal vectors may stand in any order.
        own = dict((name, score) for score, name in brute_force(segments, query))
        assert len(set(names[: len(wanted)])) == len(wanted)
        assert [own[n] for n in names[: len(wanted)]] == pytest.approx(
            found[: len(wanted)], abs=1e-5
        )
        assert names[len(wanted) :].tolist() == [None] * missing
        assert np.isneginf(found[len(wanted) :]).all()


def test_an_index_whose_every_document_is_dead_finds_nothing(tmp_path: Path) -> None:
    index = Index.open(
        write(tmp_path, [(unit(3), ["a", "b", "c"], [0, 1, 2])]), encoder_digest=MADE_BY
    )
    scores, doc_ids = index.search(unit(2), 4)
    assert index.live == 0 and index.doc_ids() == []
    assert np.isneginf(scores).all() and (doc_ids == None).all()  # noqa: E711


def test_no_query_is_no_answer(tmp_path: Path) -> None:
    segments = [(unit(3), ["a", "b", "c"], [])] * 2
    index = Index.open(write(tmp_path, segments), encoder_digest=MADE_BY)
    scores, doc_ids = index.search(np.empty((0, 8), dtype=np.float32), 4)
    assert scores.shape == doc_ids.shape == (0, 4)


def test_a_doc_id_that_comes_twice_is_found_twice(tmp_path: Path) -> None:
    vectors = unit(4)
    index = Index.open(
        write(tmp_path, [(vectors, ["a", "a", "b", "c"], [])]), encoder_digest=MADE_BY
    )
    _, doc_ids = index.search(vectors[:1], 4)
    assert sorted(doc_ids[0].tolist()) == ["a", "a", "b", "c"]


@pytest.mark.parametrize("shape", [(2, 7), (8,), (1, 2, 8)])
def test_queries_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    index = Index.open(write(tmp_path, [(unit(3), ["a", "b", "c"], [])]), encoder_digest=MADE_BY)
    with pytest.raises(BadInput, match=r"the index 8 dimensions"):
        index.search(np.zeros(shape, dtype=np.float32), 3)


# ---- inverted lists


def build(directory: Path, vectors: np.ndarray, **changes: Any) -> Index:
    given: dict[str, Any] = {
        "vectors": vectors,
        "doc_ids": [f"d{row}" for row in range(len(vectors))],
        "text_digests": ["sha256:0"] * len(vectors),
        "encoder_digest": MADE_BY,
        "slices": None,
        "factory": "IVF8,Flat",
        "recall_target": 1.0,
        "memory_mb": 100,
        "probes": unit(40, seed=1),
        "seed": 5,
    }
    return build_index(directory, **(given | changes))


def test_every_list_probed_is_exact_search(tmp_path: Path) -> None:
    vectors, queries = unit(500), unit(40, seed=1)
    inverted = build(tmp_path / "inverted", vectors)
    flat = build(tmp_path / "flat", vectors, factory="Flat")
    assert isinstance(inverted.segments[0].rows.vectors, faiss.IndexIVF)
    scores, doc_ids = inverted.search(queries, 10)
    flat_scores, flat_ids = flat.search(queries, 10)
    assert scores == pytest.approx(flat_scores, abs=1e-6)
    assert (doc_ids == flat_ids).all()


def test_fewer_probes_find_less_and_travel_with_the_folder(tmp_path: Path) -> None:
    vectors, queries = unit(500), unit(40, seed=1)
    few = build(tmp_path / "few", vectors, recall_target=0.3)
    reopened = Index.open(tmp_path / "few", encoder_digest=MADE_BY)
    assert reopened.settings == few.settings == {"nprobe": 1}
    exact = build(tmp_path / "flat", vectors, factory="Flat").search(queries, 10)[1]
    shares = [(i.search(queries, 10)[1] == exact).all(axis=1).mean() for i in (few, reopened)]
    assert shares[0] == shares[1] < 1


def test_tombstones_hide_rows_of_inverted_lists_too(tmp_path: Path) -> None:
    vectors = unit(500)
    build(tmp_path, vectors)
    dead = np.arange(0, 500, 2, dtype=np.uint32)
    np.save(tmp_path / "segment-0000.tombstones.npy", dead)
    row = segment_row("segment-0000", rows=500, dead=250)
    search, quantizer = {"nprobe": 8}, "quantizer.faiss"
    describe(tmp_path, [row], factory="IVF8,Flat", search=search, quantizer=quantizer)
    index = Index.open(tmp_path, encoder_digest=MADE_BY)
    _, doc_ids = index.search(vectors, 3)
    assert {int(d[1:]) % 2 for d in doc_ids.ravel()} == {1}
    assert (doc_ids[1::2, 0] == [f"d{row}" for row in range(1, 500, 2)]).all()


def test_too_few_rows_for_lists_are_searched_exactly(tmp_path: Path) -> None:
    index = build(tmp_path, unit(39 * 8 - 1))
    assert (index.factory, index.settings) == ("Flat", {})
    assert build(tmp_path / "enough", unit(39 * 8)).factory == "IVF8,Flat"


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_the_same_vectors_give_the_same_bytes(tmp_path: Path, factory: str) -> None:
    for name in ("one", "two"):
        build(tmp_path / name, unit(500), factory=factory)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    trained = [] if factory == "Flat" else ["quantizer.faiss"]
    assert names == ["index.json", *trained, "segment-0000.faiss", "segment-0000.parquet"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_broken_vector_names_its_document(tmp_path: Path) -> None:
    for value in (np.nan, np.inf):
        vectors = unit(20)
        vectors[13, 2] = value
        with pytest.raises(BadInput, match=r"the vector of document d13 holds NaN or Inf"):
            build(tmp_path, vectors)


def test_an_empty_catalogue_makes_no_index(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is the catalogue empty"):
        build(tmp_path, np.empty((0, 8), dtype=np.float32))


# ---- opening what does not fit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, [(unit(4), ["a", "b", "c", "d"], [2])])


def test_an_index_of_another_encoder_is_refused_with_both_digests(folder: Path) -> None:
    with pytest.raises(EncoderMismatch, match=f"{MADE_BY}.*{OTHER}"):
        Index.open(folder, encoder_digest=OTHER)


def test_a_live_count_that_does_not_hold_is_refused(folder: Path) -> None:
    np.save(folder / "segment-0000.tombstones.npy", np.array([1, 2], dtype=np.uint32))
    with pytest.raises(IntegrityError, match=r"holds 2 live rows.*says 3"):
        Index.open(folder, encoder_digest=MADE_BY)


def test_ids_and_vectors_of_different_number_are_refused(folder: Path) -> None:
    table = pa.table({"doc_id": ["a", "b", "c"], "text_digest": ["x"] * 3})
    pq.write_table(table, folder / "segment-0000.parquet")
    with pytest.raises(IntegrityError, match=r"holds 4 vectors but .* names 3 documents"):
        Index.open(folder, encoder_digest=MADE_BY)


@pytest.mark.parametrize("name", ["faiss", "parquet", "tombstones.npy"])
@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_a_missing_or_damaged_file_is_an_integrity_error(
    folder: Path, name: str, content: bytes | None
) -> None:
    path = folder / f"segment-0000.{name}"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"segment-0000\.faiss .* is missing or damaged"):
        Index.open(folder, encoder_digest=MADE_BY)


def test_tombstones_beyond_the_rows_are_an_integrity_error(folder: Path) -> None:
    np.save(folder / "segment-0000.tombstones.npy", np.array([99], dtype=np.uint32))
    with pytest.raises(IntegrityError, match="is missing or damaged"):
        Index.open(folder, encoder_digest=MADE_BY)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "has no readable index.json"),
        ("{", "has no readable index.json"),
        ("7", "has no readable index.json"),
        ('{"format_version": 99}', "has format_version 99"),
        ('{"format_version": 1}', "names no dimension, encoder, factory, search, segments"),
    ],
)
def test_a_description_that_cannot_be_read_is_refused(
    folder: Path, text: str | None, says: str
) -> None:
    (folder / "index.json").unlink()
    if text is not None:
        (folder / "index.json").write_text(text)
    with pytest.raises(IntegrityError, match=says):
        Index.open(folder, encoder_digest=MADE_BY)


def test_a_description_without_segments_is_refused(folder: Path) -> None:
    describe(folder, [])
    with pytest.raises(IntegrityError, match="names no segment"):
        Index.open(folder, encoder_digest=MADE_BY)
