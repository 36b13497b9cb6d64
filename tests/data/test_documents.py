"""What of a document is indexed, and what a page teaches by itself."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.documents import catalogue_pairs, indexed_texts

PAGE = "Return the sum of all elements.\n\nThe sum runs over the last axis unless told otherwise."


def test_the_title_stands_before_the_text() -> None:
    catalogue = pd.DataFrame({"title": ["sum", ""], "text": ["Adds.", "Alone."]})
    assert indexed_texts(catalogue) == ["sum\nAdds.", "Alone."]


def test_the_first_sentence_asks_for_the_rest_of_its_page() -> None:
    sentences, rests = catalogue_pairs(["numpy.sum"], [PAGE])
    assert sentences == ["Return the sum of all elements."]
    assert rests[0].startswith("numpy.sum\n")
    assert "unless told otherwise" in rests[0] and "all elements" not in rests[0]


def test_a_sentence_over_several_lines_becomes_one_line() -> None:
    sentences, _ = catalogue_pairs(["t"], ["Return the sum\n    of all  elements. " + "rest " * 20])
    assert sentences == ["Return the sum of all elements."]


def test_a_point_inside_a_name_ends_no_sentence() -> None:
    sentences, _ = catalogue_pairs(["t"], ["Calls numpy.linalg.norm on each row. " + "rest " * 20])
    assert sentences == ["Calls numpy.linalg.norm on each row."]


def test_a_page_without_a_rest_teaches_nothing() -> None:
    pages = ["", "   \n", "😀" * 10, "One sentence and nothing else.", PAGE]
    sentences, rests = catalogue_pairs(["t"] * len(pages), pages)
    assert len(sentences) == len(rests) == 1


def test_a_megabyte_without_a_full_stop_is_cut_at_once() -> None:
    sentences, rests = catalogue_pairs(["t"], ["word " * 200_000])
    assert len(sentences[0]) <= 100 and len(rests[0]) > 900_000


@given(st.lists(st.text(max_size=300), max_size=8))
def test_pairs_come_in_order_and_share_nothing(texts: list[str]) -> None:
    titles = [f"title {i}" for i in range(len(texts))]
    sentences, rests = catalogue_pairs(titles, texts)
    assert len(sentences) == len(rests) <= len(texts)
    owners = [titles.index(rest.split("\n", 1)[0]) for rest in rests]
    assert owners == sorted(set(owners))
    for owner, sentence, rest in zip(owners, sentences, rests, strict=True):
        whole = "".join(texts[owner].split())
        assert whole == "".join((sentence + rest.split("\n", 1)[1]).split())
