"""Metrics against their slow, obvious twins."""

import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from perennial.errors import BadInput
from perennial.quality.metrics import (
    JUDGED,
    METRICS,
    answerable,
    grade,
    per_query_metrics,
    recall_at,
)

DOCS = [f"d{i}" for i in range(14)]


def slowly(ranking: list[str], judged: dict[str, int]) -> dict[str, float]:
    """Each metric of one ranking, by its textbook definition."""
    relevant = {doc for doc, value in judged.items() if value > 0}

    def recall(k: int) -> float:
        return sum(doc in relevant for doc in ranking[:k]) / len(relevant)

    def dcg(grades: list[int]) -> float:
        return sum(g / math.log2(rank + 1) for rank, g in enumerate(grades[:10], start=1))

    precisions = [
        sum(d in relevant for d in ranking[:rank]) / rank
        for rank, doc in enumerate(ranking[:100], start=1)
        if doc in relevant
    ]
    firsts = [rank for rank, doc in enumerate(ranking[:10], start=1) if doc in relevant]
    top = ranking[:10]
    return {
        "recall@1": recall(1),
        "recall@10": recall(10),
        "recall@100": recall(100),
        "mrr@10": 1 / firsts[0] if firsts else 0.0,
        "ndcg@10": dcg([judged.get(doc, 0) for doc in ranking])
        / dcg(sorted(judged.values(), reverse=True)),
        "map": sum(precisions) / len(relevant),
        JUDGED: sum(doc in judged for doc in top) / len(top) if top else 0.0,
    }


@st.composite
def a_query(draw):
    ranking = draw(st.lists(st.sampled_from(DOCS), unique=True, max_size=len(DOCS)))
    grades = st.dictionaries(st.sampled_from(DOCS), st.integers(0, 3), min_size=1)
    return ranking, draw(grades.filter(lambda judged: any(judged.values())))


@given(st.lists(a_query(), min_size=1, max_size=6))
def test_every_metric_agrees_with_its_definition(world):
    queries = [f"query {i}" for i in range(len(world))]
    judgements = {q: judged for q, (_, judged) in zip(queries, world, strict=True)}
    fast = per_query_metrics(queries, [ranking for ranking, _ in world], judgements)
    assert set(fast) == {*METRICS, JUDGED}
    for row, (ranking, judged) in enumerate(world):
        slow = slowly(ranking, judged)
        assert {name: fast[name][row] for name in fast} == pytest.approx(slow)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=10).filter(any), st.randoms())
def test_ndcg_and_map_agree_with_sklearn_on_whole_rankings(grades, random):
    docs = DOCS[: len(grades)]
    judged = dict(zip(docs, grades, strict=True))
    ranking = random.sample(docs, len(docs))
    ours = per_query_metrics(["q"], [ranking], {"q": judged})
    scores = [-ranking.index(doc) for doc in docs]
    assert ours["ndcg@10"][0] == pytest.approx(ndcg_score([grades], [scores]))
    binary = [int(g > 0) for g in grades]
    assert ours["map"][0] == pytest.approx(average_precision_score(binary, scores))


# Their names in ir-measures; what is unjudged is not relevant there either.
ORACLE = {
    "recall@1": "R@1",
    "recall@10": "R@10",
    "recall@100": "R@100",
    "mrr@10": "RR@10",
    "ndcg@10": "nDCG@10",
    "map": "AP@100",
    JUDGED: "Judged@10",
}


@settings(max_examples=20)
@given(st.lists(a_query().filter(lambda pair: pair[0]), min_size=1, max_size=6))
def test_every_metric_of_every_query_is_what_trec_eval_computes(world):
    queries = [f"query {i}" for i in range(len(world))]
    judgements = {q: judged for q, (_, judged) in zip(queries, world, strict=True)}
    ours = per_query_metrics(queries, [ranking for ranking, _ in world], judgements)
    labels = [
        ir_measures.Qrel(query, doc, grade)
        for query, judged in judgements.items()
        for doc, grade in judged.items()
    ]
    run = [
        ir_measures.ScoredDoc(query, doc, -float(rank))
        for query, (ranking, _) in zip(queries, world, strict=True)
        for rank, doc in enumerate(ranking)
    ]
    measures = {ir_measures.parse_measure(name): metric for metric, name in ORACLE.items()}
    found = list(ir_measures.iter_calc(list(measures), labels, run))
    assert len(found) == len(queries) * len(measures)
    for item in found:
        row = queries.index(item.query_id)
        assert ours[measures[item.measure]][row] == pytest.approx(item.value, abs=1e-6)


def test_an_array_with_missing_answers_scores_like_the_shorter_lists():
    judgements = {"a": {"d1": 1, "d2": 2}, "b": {"d3": 3}}
    ranked = np.array([["d2", "d9", None], [None, None, None]], dtype=object)
    by_array = per_query_metrics(["a", "b"], ranked, judgements)
    by_list = per_query_metrics(["a", "b"], [["d2", "d9"], []], judgements)
    for name in by_array:
        assert by_array[name].tolist() == by_list[name].tolist()
        assert np.isfinite(by_array[name]).all()


def test_recall_by_k_never_falls_with_k():
    rng = np.random.default_rng(1)
    ranked = [list(rng.permutation(DOCS)) for _ in range(20)]
    queries = [f"q{i}" for i in range(20)]
    graded = grade(queries, ranked, {q: {"d1": 1, "d5": 2} for q in queries})
    recall = recall_at(graded, [1, 2, 5, 10, 14])
    assert (np.diff(recall, axis=1) >= 0).all()
    assert (recall[:, -1] == 1).all()


def test_a_query_without_a_relevant_judgement_is_refused_by_name_not_scored_as_nan():
    judgements = {"known": {"d1": 1}, "only zeros": {"d1": 0}}
    with pytest.raises(BadInput, match=r"1 of 2 queries .*'only zeros'"):
        per_query_metrics(["known", "only zeros"], [["d1"], ["d1"]], judgements)
    assert answerable(["known", "only zeros", "never seen"], judgements) == ["known"]


def test_a_document_twice_in_a_ranking_is_refused_so_that_recall_stays_below_one():
    with pytest.raises(BadInput, match="'d1' stands twice in the ranking for 'q'"):
        per_query_metrics(["q"], [["d1", "d2", "d1"]], {"q": {"d1": 1}})


def test_rankings_and_queries_must_come_in_equal_number():
    with pytest.raises(BadInput, match="2 queries came with 1 rankings"):
        per_query_metrics(["a", "b"], [["d1"]], {"a": {"d1": 1}, "b": {"d1": 1}})


def test_no_queries_give_empty_arrays():
    assert all(len(values) == 0 for values in per_query_metrics([], [], {}).values())
