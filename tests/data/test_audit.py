"""The audit counts again from the triplets, and a limit that is passed says which."""

import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from perennial.data.audit import _surely, audit_triplets, breaches
from perennial.data.mine import TRIPLETS

LIMITS = {
    "duplicates_of_positives": 0.0,
    "relevant_by_label": 0,
    "short_share": 0.4,
    "relevant_share": 0.1,
}
NONE = pd.DataFrame({"positive": pd.Series(dtype=object), "doc_id": pd.Series(dtype=object)})


def negative(doc_id: str, origin: str = "ann", score: float | None = 0.5) -> dict[str, object]:
    return {"doc_id": doc_id, "origin": origin, "score": score}


def audit(
    hidden: list[tuple[str, str]],
    twins: pd.DataFrame = NONE,
    *more: str,
    labels: tuple[tuple[str, str, str], ...] = (),
) -> dict:
    first = [negative("x"), negative("y", "random", None), *map(negative, more)]
    rows = [("a", "p", 0.9, first), ("a", "q", 0.8, first), ("b", "p", 0.7, [negative("z")])]
    triplets = pa.Table.from_pylist(
        [dict(zip(TRIPLETS.names, row, strict=True)) for row in rows], schema=TRIPLETS
    )
    return audit_triplets(
        triplets,
        labels=pd.DataFrame(labels, columns=["query", "doc_id", "label"], dtype=object),
        twins=twins,
        negatives=2,
        blind=triplets.slice(0, 2 if hidden else 0),
        hidden=pd.DataFrame(hidden, columns=["query", "doc_id"], dtype=object),
        limits=LIMITS,
        examples=1,
    )


def test_negatives_are_counted_once_per_query() -> None:
    found = audit([])
    assert found["negatives"] == {"log": 0, "ann": 2, "random": 1}
    assert (found["queries"], found["triplets"], found["queries_short"]) == (2, 3, 1)
    assert len(found["examples"]) == 1
    assert breaches(found) == ["short_share is 0.5, more than 0.4"]


def test_a_negative_that_is_an_answer_or_its_twin_is_found() -> None:
    assert audit([], NONE, "q")["duplicates_of_positives"] == 1
    twin = pd.DataFrame({"positive": ["p"], "doc_id": ["x"]})
    assert "duplicates_of_positives is 1, more than 0" in str(breaches(audit([], twin)))


def test_a_negative_that_people_call_relevant_is_found() -> None:
    found = audit(
        [], labels=(("a", "x", "positive"), ("b", "z", "negative"), ("b", "x", "positive"))
    )
    assert found["relevant_by_label"] == 1
    assert "relevant_by_label is 1, more than 0" in str(breaches(found))


def test_hidden_answers_are_counted_among_what_was_mined_blind() -> None:
    found = audit([("a", "x"), ("b", "z"), ("b", "x")])
    assert (found["hidden_answers"], found["blind_negatives"]) == (3, 2)  # only of query a
    assert (found["relevant_negatives"], found["relevant_share"]) == (1, 0.5)
    assert found["limits"]["relevant_share"]["value"] == pytest.approx(0.1211, abs=1e-3)
    assert "relevant_share is surely 0.1" in str(breaches(found))


def test_one_relevant_negative_of_many_is_no_proof() -> None:
    """A share of 1 in 20 may be chance where 2 in 100 are allowed; 10 in 200 are not."""
    assert _surely(1, 20) < 0.02 < 1 / 20
    assert _surely(10, 200) > 0.02
    assert (_surely(0, 50), _surely(0, 0)) == (0.0, None)


@pytest.mark.parametrize(("found", "among"), [(0, 7), (3, 7), (7, 7), (41, 1000)])
def test_the_share_that_is_sure_is_wilsons(found: int, among: int) -> None:
    twin = binomtest(found, among, alternative="greater").proportion_ci(0.95, method="wilson")
    assert _surely(found, among) == pytest.approx(twin.low, abs=1e-6)


def test_where_nothing_was_hidden_nothing_is_measured() -> None:
    found = audit([])
    assert found["relevant_share"] is None and "relevant_share" not in found["limits"]
