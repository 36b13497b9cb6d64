"""Marks: exactly what a review page writes, in one meaning, whoever writes it."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.marks import Marks, as_judgements, check_time, grades, in_order, parse_marks
from perennial.data.schema import JUDGEMENTS
from perennial.errors import BadInput

GATE = "sha256:" + "ab" * 32


def written(**changes) -> dict:
    """What a page writes, with the named parts replaced."""
    parts = {
        "format_version": 1,
        "release": "rel-0123456789ab",
        "gate": GATE,
        "reviewer": "Ada",
        "marked_at": "2026-11-21T10:00:00Z",
        "marks": {
            "pairs": [{"query": "sort rows", "candidate": "better"}],
            "documents": [
                {"query": "sort rows", "doc_id": "d1", "relevant": True},
                {"query": "sort rows", "doc_id": "d2", "relevant": False},
            ],
        },
    }
    return parts | changes


def parsed(**changes) -> Marks:
    return parse_marks(json.dumps(written(**changes)).encode(), name="marks.json")


def documents(*marks: tuple[str, bool]) -> dict:
    rows = [{"query": "q", "doc_id": doc, "relevant": good} for doc, good in marks]
    return {"pairs": [], "documents": rows}


def test_documents_become_grades_and_pairs_do_not():
    assert grades([parsed()]) == {("sort rows", "d1"): 1, ("sort rows", "d2"): 0}
    assert as_judgements(grades([parsed()])).schema.equals(JUDGEMENTS)


def test_of_two_marks_on_a_document_the_later_one_counts_in_whatever_order_they_come():
    early = parsed(marked_at="2026-11-21T10:00:00Z", marks=documents(("d", True)))
    late = parsed(marked_at="2026-11-21T12:00:00+00:00", marks=documents(("d", False)))
    for order in ([early, late], [late, early]):
        assert grades(in_order(order)) == {("q", "d"): 0}


def test_the_same_marks_have_the_same_digest_however_they_are_written():
    spaced = json.dumps(dict(reversed(written().items())), indent=3).encode()
    assert parse_marks(spaced, name="f").digest == parsed().digest
    assert parsed(reviewer="Grace").digest != parsed().digest


def test_a_mark_of_the_future_is_refused():
    with pytest.raises(BadInput, match="yet to come"):
        check_time(parsed(), name="f", now=datetime(2026, 11, 19, tzinfo=UTC))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format_version": 2}, "format_version"),
        ({"release": "../../etc"}, "release"),
        ({"gate": "ab"}, "gate"),
        ({"reviewer": " "}, "reviewer"),
        ({"reviewer": "Ada\nInjected: yes"}, "reviewer"),
        ({"marked_at": "yesterday"}, "marked_at"),
        ({"marked_at": "2026-11-21T10:00:00+02:00"}, "marked_at"),
        ({"extra": 1}, "extra"),
        ({"marks": {"pairs": [], "documents": []}}, "no mark"),
        ({"marks": {"pairs": [{"query": "q", "candidate": "nicer"}], "documents": []}}, "pairs.0"),
        ({"marks": documents(("d", 1))}, "documents.0.relevant"),
        ({"marks": documents(("d", True), ("d", False))}, "twice"),
        ({"marks": {"pairs": [{"query": "q", "candidate": "same"}] * 2, "documents": []}}, "twice"),
    ],
)
def test_what_no_page_writes_is_refused_by_its_name_in_one_sentence(changes, said):
    with pytest.raises(BadInput, match=said) as caught:
        parsed(**changes)
    assert "\n" not in str(caught.value)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_bytes_at_all_raise_anything_but_bad_input(content):
    with pytest.raises(BadInput):
        parse_marks(content, name="marks.json")


def test_a_file_nested_too_deep_is_refused():
    with pytest.raises(BadInput):
        parse_marks(b'{"marks":' + b"[" * 200_000, name="marks.json")
