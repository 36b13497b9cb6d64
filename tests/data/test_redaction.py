"""redaction: personal data goes, and what programmers search for stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.redaction import KINDS, redact


@pytest.mark.parametrize(
    ("query", "clean"),
    [
        ("mail of jane.doe+x@example.co.uk please", "mail of <email> please"),
        ("DE89 3704 0044 0532 0130 00", "<iban>"),
        ("pay 4111 1111 1111 1111 now", "pay <card> now"),
        ("ping 192.168.0.17", "ping <ip>"),
        ("route 2001:db8::8a2e:370:7334", "route <ip>"),
        ("call +49 30 1234567", "call <phone>"),
        ("call 555-123-4567", "call <phone>"),
        ("customer 123456789", "customer <digits>"),
    ],
)
def test_personal_data_is_replaced_by_its_kind(query, clean):
    assert redact(query)[0] == clean
    assert sum(redact(query)[1].values()) == 1


@pytest.mark.parametrize(
    "query",
    [
        "numpy 1.2.3", "float64", "take_along_axis", "0.5", "2024-01-31", "20240131",
        "3.141592653589793", "a[1::2]", "std::abs", "A@B.T", "12:30:45", "300.1.2.3",
        "4111 1111 1111 1112",
    ],
)  # fmt: skip
def test_what_programmers_search_for_stays(query):
    assert redact(query) == (query, dict.fromkeys(KINDS, 0))


@given(st.one_of(st.text(), st.text("0123456789 +-.:@aDE<>/()", max_size=40)))
def test_redacting_twice_is_redacting_once(query):
    once, _ = redact(query)
    assert redact(once)[0] == once
