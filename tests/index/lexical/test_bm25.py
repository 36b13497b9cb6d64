"""The lexical search of today: BM25, and nothing where no word is shared."""

import numpy as np
import pytest

from perennial.errors import BadInput
from perennial.index.lexical.bm25 import Lexical

TEXTS = [
    "Sort an array in place by quicksort.",
    "Inverse of a square matrix.",
    "Sort a matrix by its rows.",
    "😀",
    "",
]
NAMES = ["sort", "inverse", "rows", "smile", "empty"]


@pytest.fixture(scope="module")
def lexical() -> Lexical:
    return Lexical(TEXTS, NAMES)


def test_the_document_that_shares_the_rarest_words_comes_first(lexical: Lexical) -> None:
    scores, doc_ids = lexical.search(["sort an array", "matrix inverse"], 2)
    assert doc_ids.tolist() == [["sort", "rows"], ["inverse", "rows"]]
    assert (np.diff(scores, axis=1) < 0).all() and scores.dtype == np.float32


@pytest.mark.parametrize("query", ["zebra", "", "  ", "the of", "😀", "sört"])
def test_no_shared_word_is_no_match(lexical: Lexical, query: str) -> None:
    scores, doc_ids = lexical.search([query, "matrix"], 3)
    assert doc_ids[0].tolist() == [None] * 3 and np.isneginf(scores[0]).all()
    assert None not in doc_ids[1, :2].tolist()


def test_more_results_than_documents_are_none(lexical: Lexical) -> None:
    scores, doc_ids = lexical.search(["matrix"], 9)
    assert scores.shape == doc_ids.shape == (1, 9)
    assert set(doc_ids[0, :2]) == {"inverse", "rows"}
    assert doc_ids[0, 2:].tolist() == [None] * 7


def test_no_query_is_no_answer(lexical: Lexical) -> None:
    scores, doc_ids = lexical.search([], 3)
    assert scores.shape == doc_ids.shape == (0, 3)


def test_texts_without_any_word_find_nothing() -> None:
    scores, doc_ids = Lexical(["😀", " \n "], ["a", "b"]).search(["matrix"], 2)
    assert doc_ids.tolist() == [[None, None]] and np.isneginf(scores).all()


def test_the_same_texts_answer_the_same_twice(lexical: Lexical) -> None:
    asked = ["sort", "matrix rows", "array"]
    scores, doc_ids = Lexical(TEXTS, NAMES).search(asked, 4)
    again, again_ids = lexical.search(asked, 4)
    assert np.array_equal(scores, again) and (doc_ids == again_ids).all()


def test_an_empty_catalogue_says_so() -> None:
    with pytest.raises(BadInput, match="is the catalogue empty"):
        Lexical([], [])
