"""Words of segments: whatever grew, died and was merged, the answers are those of a fresh index."""

import tempfile
from dataclasses import replace
from pathlib import Path

import bm25s
import faiss
import numpy as np
import pyarrow as pa
import pytest
from bm25s.stopwords import STOPWORDS_EN
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_bm25 import plain_bm25

from perennial.errors import IntegrityError
from perennial.index.fit import check_words
from perennial.index.fusion import reciprocal_rank_fusion
from perennial.index.lexical.bm25 import Lexical
from perennial.index.lexical.file import check_postings, read_postings, write_postings
from perennial.index.lexical.postings import count_words, merged
from perennial.index.lexical.search import LexicalIndex
from perennial.index.lexical.words import STOP_WORDS, words_of
from perennial.index.segment import Rows, Segment
from perennial.index.selection import slice_codes

WORDS = ("sort", "array", "matrix", "inverse", "rows", "the", "Sort", "x")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
# Segments of texts, and which of their rows are dead.
GROWN = st.lists(st.lists(st.tuples(TEXTS, st.booleans()), min_size=1, max_size=5), min_size=1)
QUERIES = ["sort", "array matrix sort sort", "rows", "zebra", "the", "inverse x"]


def index_of(segments, *, slices=None, waiting=()) -> LexicalIndex:
    """The lexical index of segments of (doc_id, text, is_dead)."""
    parts, postings = [], {}
    for number, rows in enumerate([*segments, *waiting]):
        ids = [doc_id for doc_id, _, _ in rows]
        named = pa.chunked_array(
            [pa.array([(slices or {}).get(each) for each in ids], pa.string())]
        )
        held = Rows(faiss.IndexFlatIP(1), pa.array(ids, pa.string()), slice_codes(named))
        dead = np.array([is_dead for _, _, is_dead in rows], dtype=bool)
        parts.append(Segment(held, dead, (str(number),)))
        postings[str(number)] = count_words([text for _, text, _ in rows], ids)
    own = len(segments)
    return LexicalIndex(parts[:own], parts[own:], postings)


def named(grown):
    """The rows of segments with doc_ids that count backwards."""
    rows = iter(range(999, 0, -1))
    return [[(f"doc-{next(rows):03d}", text, dead) for text, dead in rows_] for rows_ in grown]


@settings(max_examples=25)
@given(GROWN)
def test_the_answers_are_those_of_bm25_over_what_lives(grown) -> None:
    segments = named(grown)
    living = {doc_id: text for rows in segments for doc_id, text, dead in rows if not dead}
    found = index_of(segments).search(QUERIES, 50)
    for query, names, scores in zip(QUERIES, found.doc_ids, found.scores, strict=True):
        wanted = plain_bm25(living, query)
        there = [name for name in names if name is not None]
        assert sorted(there) == sorted(wanted)
        assert scores[: len(there)] == pytest.approx([wanted[name] for name in there], abs=1e-5)
        ranked = list(zip(-scores[: len(there)], there, strict=True))
        assert ranked == sorted(ranked)
    assert not found.waits.any()


def test_the_scores_are_those_of_bm25s() -> None:
    generator = np.random.default_rng(3)
    words = [f"word{i}" for i in range(300)]
    texts = [" ".join(generator.choice(words, size)) for size in generator.integers(1, 60, 200)]
    ids = [f"doc-{i:03d}" for i in range(200)]
    rows = [(doc_id, text, False) for doc_id, text in zip(ids, texts, strict=True)]
    queries = [" ".join(generator.choice(words, 4)) for _ in range(20)]
    found = index_of([rows[:120], rows[120:]]).search(queries, 10)
    scores, names = Lexical(texts, ids).search(queries, 10)
    assert found.scores == pytest.approx(scores, abs=1e-4)
    assert np.mean(found.doc_ids == names) > 0.9  # of equals bm25s takes any


def test_words_are_those_of_bm25s() -> None:
    texts = [
        "Sort_rows of the A-B x1 Über naïve ١٢ e.g.",
        "",
        "in-place",
        "don't\u200bjoin 東京都",
    ]
    theirs = bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)
    assert [words_of(text) for text in texts] == [list(each) for each in theirs]
    assert set(STOP_WORDS) == set(STOPWORDS_EN)


@settings(max_examples=25)
@given(GROWN)
def test_merging_what_lives_gives_the_bytes_of_counting_it(grown) -> None:
    segments = named(grown)
    parts = [
        (
            count_words([text for _, text, _ in rows], [doc_id for doc_id, _, _ in rows]),
            ~np.array([dead for _, _, dead in rows], dtype=bool),
        )
        for rows in segments
    ]
    living = [(doc_id, text) for rows in segments for doc_id, text, dead in rows if not dead]
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "one", Path(folder) / "other"
        write_postings(one, merged(parts))
        write_postings(other, count_words([t for _, t in living], [d for d, _ in living]))
        assert one.read_bytes() == other.read_bytes()
        check_postings(one, doc_ids=[doc_id for doc_id, _ in living])


def test_only_the_slice_that_is_asked_for_answers() -> None:
    rows = [(f"doc-{i}", "sort rows", False) for i in range(4)]
    index = index_of([rows[:2], rows[2:]], slices={"doc-1": "guide", "doc-3": "guide"})
    assert index.search(["sort"], 3, slice="guide").doc_ids.tolist() == [["doc-1", "doc-3", None]]
    assert index.search(["sort"], 1, slice="other").doc_ids.tolist() == [[None]]
    whole = index.search(["sort"], 4)
    assert index.search(["sort"], 1, slice="guide").scores[0, 0] == whole.scores[0, 1]


def test_what_waits_is_ranked_among_all_and_says_so() -> None:
    index = index_of([[("a", "sort sort rows", False)]], waiting=[[("b", "sort rows", False)]])
    found = index.search(["sort"], 3)
    assert found.doc_ids.tolist() == [["a", "b", None]]
    assert found.waits.tolist() == [[False, True, False]]


@pytest.mark.parametrize("harm", ["cut", "rows", "foreign", "missing"])
def test_a_damaged_file_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "segment-0000.lexical.arrow"
    write_postings(path, count_words(["sort rows", "matrix"], ["a", "b"]))
    rows = 2
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:400])
    elif harm == "foreign":
        table = pa.table({"terms": [1]})
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    elif harm == "missing":
        path.unlink()
    else:
        rows = 3
    with pytest.raises(IntegrityError, match="perennial verify"):
        read_postings(path, rows=rows)


def test_the_words_of_other_documents_are_not_published(tmp_path: Path) -> None:
    path = tmp_path / "segment-0000.lexical.arrow"
    write_postings(path, count_words(["sort rows", "matrix"], ["a", "b"]))
    check_postings(path, doc_ids=["a", "b"])
    with pytest.raises(IntegrityError, match="does not count"):
        check_postings(path, doc_ids=["a", "c"])


def test_numbers_of_a_type_that_counting_never_writes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "segment-0000.lexical.arrow"
    counted = count_words(["sort rows", "matrix"], ["a", "b"])
    write_postings(path, replace(counted, rows=counted.rows.astype(np.uint64)))
    with pytest.raises(IntegrityError, match="its column rows holds uint64"):
        check_postings(path, doc_ids=["a", "b"])


def test_ids_that_are_no_parquet_file_are_named(tmp_path: Path) -> None:
    write_postings(tmp_path / "words.arrow", count_words(["sort"], ["a"]))
    (tmp_path / "ids.parquet").write_bytes(b"no table")
    row = {"ids": "ids.parquet", "lexical": "words.arrow", "rows": 1}
    with pytest.raises(IntegrityError, match=r"ids\.parquet"):
        check_words(tmp_path, {"segments": [row]})


def test_ranks_are_fused_by_their_reciprocals() -> None:
    fused = reciprocal_rank_fusion([{"a": 1, "b": 2, "c": 3}, {"c": 1, "d": 2}])
    assert [name for name, _ in fused] == ["c", "a", "b", "d"]
    assert dict(fused)["c"] == pytest.approx(1 / 63 + 1 / 61)
    assert reciprocal_rank_fusion([{}, {}]) == []
