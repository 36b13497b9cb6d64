"""What of a document is indexed, and what a page teaches by itself."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.documents import catalogue_pairs, indexed_texts
from perennial.data.pairs import teachable_pairs
from perennial.data.split import content_key, is_held_out

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


def test_a_signature_is_no_sentence() -> None:
    page = "abs(x, /,\n    out=None) -> Tensor\n\nComputes the absolute value. " + "rest " * 20
    sentences, rests = catalogue_pairs(["torch.abs"], [page])
    assert sentences == ["Computes the absolute value."]
    assert "out=None" not in rests[0]


def test_the_second_sentence_asks_too_and_stands_not_in_its_own_rest() -> None:
    page = (
        "Return the sum of elements. The sum runs over one axis. " + "More words follow here. " * 3
    )
    sentences, rests = catalogue_pairs(["t"], [page])
    assert sentences == ["Return the sum of elements.", "The sum runs over one axis."]
    assert "Return the sum" in rests[1] and "runs over one axis" not in rests[1]


def test_a_heading_is_no_sentence() -> None:
    page = "Return the sum of elements.\n\nParameters of this are many. " + "rest " * 20
    assert len(catalogue_pairs(["t"], [page])[0]) == 1


@given(st.lists(st.text(max_size=300), max_size=8))
def test_pairs_come_in_order_and_only_with_words_of_their_own_page(texts: list[str]) -> None:
    titles = [f"title {i}" for i in range(len(texts))]
    sentences, rests = catalogue_pairs(titles, texts)
    assert len(sentences) == len(rests) <= 2 * len(texts)
    owners = [titles.index(rest.split("\n", 1)[0]) for rest in rests]
    assert owners == sorted(owners)
    for owner, sentence, rest in zip(owners, sentences, rests, strict=True):
        page = "".join(texts[owner].split())
        assert "".join(sentence.split()) in page
        assert len("".join(rest.split("\n", 1)[1].split())) <= len(page)


def test_no_sentence_that_a_held_out_query_asks_is_taught() -> None:
    """See Also lines are often the first sentence of the page that they lead to."""
    words = [f"word{i}" for i in range(300)]
    texts = [f"Compute the {word} of an array. {PAGE}" for word in words]
    catalogue = pd.DataFrame({"title": words, "text": texts})
    sentences, rests = teachable_pairs(catalogue, held_out_share=0.3, salt="s")
    asked = [f"an array: compute {word}!" for word in words]
    held = {q for q, out in zip(asked, is_held_out(asked, share=0.3, salt="s"), strict=True) if out}
    taught = {content_key(sentence) for sentence in sentences}
    assert held and not taught & {content_key(query) for query in held}
    assert len(sentences) == len(rests)
    assert taught >= {content_key(query) for query in asked if query not in held}
