"""Triplets: whatever is drawn, no negative is a known positive or nearly as near as one."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from perennial.data.draws import sample
from perennial.data.mine import TRIPLETS, forbidden_pairs, make_triplets
from perennial.data.negatives import Pairs, mine_negatives

ORDER = ("log", "ann", "random")


@dataclass(frozen=True)
class Asked:
    """Queries over documents of random unit vectors, with positives and passed-over documents."""

    asked: np.ndarray  # (q, d)
    documents: np.ndarray  # (n, d)
    positives: list[np.ndarray]
    passed: list[np.ndarray]
    neighbours: int

    @property
    def similarity(self) -> np.ndarray:
        """(q, n), as the miner computes it: pair by pair."""
        return np.array([[dot(a, d) for d in self.documents] for a in self.asked])

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        every = np.array([[dot(a, d) for d in self.documents] for a in queries])
        near = np.argsort(-every, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(every, near, axis=1), near

    def mine(self, **changes: Any) -> pd.DataFrame:
        doc_ids = np.array([f"d{i}" for i in range(len(self.documents))], dtype=object)
        positives = pairs(self.positives)
        given = {
            "asked": self.asked,
            "documents": self.documents,
            "positives": positives,
            "never": positives,
            "passed": pairs(self.passed),
            "search": self.search,
            "count": 6,
            "look_at": self.neighbours,
            "max_log": 2,
            "max_positive_share": 0.9,
            "seed": 3,
        }
        mined = mine_negatives(**(given | changes))
        return make_triplets(
            [f"q{i}" for i in range(len(self.asked))],
            doc_ids,
            positives=positives,
            positive_scores=np.concatenate(self.scores(self.positives)),
            mined=mined,
        ).to_pandas()

    def scores(self, rows: list[np.ndarray]) -> list[np.ndarray]:
        return [self.similarity[i, r] for i, r in enumerate(rows)]

    def bound(self, query: int, share: float = 0.9) -> float:
        return share * max(0.0, float(self.similarity[query, self.positives[query]].min()))

    def farther_half(self, query: int, *, seed: int) -> float:
        """What half of some random documents score below."""
        some = sample(np.array([query]), 32, documents=len(self.documents), seed=seed)[0]
        return float(np.median(self.similarity[query, some]))


def pairs(rows: list[np.ndarray]) -> Pairs:
    """Row numbers per query to pairs."""
    query = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    return Pairs(query, np.concatenate([np.empty(0, dtype=np.int64), *rows]).astype(np.int64))


def dot(one: np.ndarray, other: np.ndarray) -> np.float32:
    return np.einsum("ij,ij->i", one[None], other[None])[0]


def ask(seed: int, *, documents: int = 60, queries: int = 4, neighbours: int = 20) -> Asked:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((documents + queries, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    similarity = vectors[documents:] @ vectors[:documents].T
    # positives are near, as they are in life; some stand where the next query's negatives stand
    near = np.argsort(-similarity, axis=1)
    counts = rng.integers(1, 4, queries)
    positives = [
        np.sort(rng.choice(near[i, :12], counts[i], replace=False)) for i in range(queries)
    ]
    passed = [rng.choice(row, rng.integers(0, 6), replace=False) for row in near]
    return Asked(vectors[documents:], vectors[:documents], positives, passed, neighbours)


worlds = st.builds(
    ask,
    st.integers(0, 10_000),
    documents=st.integers(12, 80),
    neighbours=st.integers(1, 50),  # more than are looked at first
)


@given(worlds, st.integers(1, 8), st.integers(0, 8))
def test_no_negative_is_wanted_or_nearly_as_near(asked: Asked, negatives: int, log: int) -> None:
    triplets = asked.mine(count=negatives, max_log=log)
    assert len(triplets) == sum(len(rows) for rows in asked.positives)
    near = np.argsort(-asked.similarity, axis=1, kind="stable")[:, : asked.neighbours]
    for row in triplets.itertuples():
        query = int(row.query[1:])
        known = {f"d{r}" for r in asked.positives[query]}
        assert row.positive in known
        named = [n["doc_id"] for n in row.negatives]
        assert len(named) == len(set(named)) <= negatives
        assert not known & set(named)
        origins = [n["origin"] for n in row.negatives]
        assert origins == sorted(origins, key=ORDER.index)
        assert origins.count("log") <= log
        looked_at = {*near[query].tolist(), *asked.passed[query].tolist()}
        for negative in row.negatives:
            document = int(negative["doc_id"][1:])
            assert negative["origin"] != "random" or document not in looked_at
            assert negative["score"] == asked.similarity[query, document]
            if negative["origin"] != "random":
                assert negative["score"] < asked.bound(query)
            elif negative["score"] >= asked.bound(query):
                assert negative["score"] < asked.farther_half(query, seed=3)


@given(worlds, st.integers(1, 8), st.integers(0, 3))
def test_the_log_and_the_nearest_are_those_of_the_slow_twin(
    asked: Asked, negatives: int, log: int
) -> None:
    triplets = asked.mine(count=negatives, max_log=log)
    for row in triplets.itertuples():
        query = int(row.query[1:])
        scores, bound = asked.similarity[query], asked.bound(query)
        good = [r for r in range(len(scores)) if scores[r] < bound]
        good = [r for r in good if r not in asked.positives[query]]
        passed = sorted(asked.passed[query].tolist(), key=lambda r: -scores[r])
        wanted = [r for r in passed if r in good][: min(log, negatives)]
        near = sorted(range(len(scores)), key=lambda r: -scores[r])[: asked.neighbours]
        wanted += [r for r in near if r in good and r not in wanted]
        found = [int(n["doc_id"][1:]) for n in row.negatives if n["origin"] != "random"]
        assert found == wanted[:negatives]


@given(worlds)
def test_random_ones_fill_up_as_long_as_there_are_any(asked: Asked) -> None:
    near = np.argsort(-asked.similarity, axis=1, kind="stable")[:, : asked.neighbours]
    for row in asked.mine(count=9).itertuples():
        query = int(row.query[1:])
        taken = {*near[query], *asked.passed[query], *asked.positives[query]}
        limit = max(asked.bound(query), asked.farther_half(query, seed=3))
        far = np.flatnonzero(asked.similarity[query] < np.float32(limit))
        free = len(set(far.tolist()) - taken)
        mined = sum(n["origin"] != "random" for n in row.negatives)
        assert len(row.negatives) == min(9, mined + free)


def test_a_document_that_somebody_may_have_wanted_is_no_negative() -> None:
    asked = ask(4)
    doubtful = [np.array([int(n[1:])]) for n in first_negatives(asked.mine(), len(asked.positives))]
    triplets = asked.mine(never=pairs(doubtful))
    for query, rows in enumerate(doubtful):
        mined = triplets[triplets["query"] == f"q{query}"]["negatives"]
        assert f"d{rows[0]}" not in {n["doc_id"] for row in mined for n in row}
        assert asked.positives[query].tolist() == [
            int(d[1:]) for d in triplets[triplets["query"] == f"q{query}"]["positive"]
        ]


def first_negatives(triplets: pd.DataFrame, queries: int) -> list[str]:
    """The hardest negative of each query."""
    rows = [triplets[triplets["query"] == f"q{i}"]["negatives"].iloc[0] for i in range(queries)]
    return [row[0]["doc_id"] for row in rows]


def test_many_known_positives_leave_no_triplet_short() -> None:
    asked = ask(5, documents=200)
    many = [np.arange(100, 160) for _ in asked.positives]
    triplets = replace(asked, positives=many).mine(count=10)
    assert (triplets["negatives"].map(len) == 10).all()


def test_an_answer_beyond_a_right_angle_has_no_hard_negatives_before_it() -> None:
    asked = ask(1)
    far = [np.array([int(row.argmin())]) for row in asked.similarity]
    triplets = replace(asked, positives=far).mine()
    negatives = [n for row in triplets["negatives"] for n in row]
    assert {n["origin"] for n in negatives} == {"log", "random"}
    assert all(n["score"] < 0 for n in negatives if n["origin"] == "log")


def test_the_seed_alone_decides_the_random_ones() -> None:
    asked = ask(2)
    once, again, other = (asked.mine(max_positive_share=0.0, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(once, again)
    assert not once["negatives"].equals(other["negatives"])


def test_rows_that_a_search_could_not_fill_are_passed_by() -> None:
    asked = ask(3)
    empty = np.full((4, 5), -1), np.full((4, 5), -np.inf, dtype=np.float32)
    triplets = asked.mine(search=lambda queries, k: (empty[1], empty[0]))
    assert {n["origin"] for row in triplets["negatives"] for n in row} <= {"log", "random"}


@given(worlds, st.integers(0, 5), st.floats(0, 1), st.floats(0, 0.5))
def test_windows_and_margins_are_those_of_the_slow_twin(
    asked: Asked, skip: int, share: float, margin: float
) -> None:
    triplets = asked.mine(
        skip=skip, max_log=0, max_positive_share=share, absolute_margin=margin, max_random=0
    )
    similarity = asked.similarity
    for row in triplets.itertuples():
        query = int(row.query[1:])
        lowest = similarity[query, asked.positives[query]].min()
        near = np.argsort(-similarity[query], kind="stable")[skip : asked.neighbours]
        scores = similarity[query, near]
        good = scores < np.float32(share) * max(lowest, np.float32(0))
        if margin:
            good &= scores < lowest - np.float32(margin)
        wanted = [f"d{r}" for r in near[good] if r not in asked.positives[query]]
        assert [n["doc_id"] for n in row.negatives] == wanted[:6]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(6, queries=23)
    whole = asked.mine()
    monkeypatch.setattr("perennial.data.negatives._CHUNK", 5)
    pd.testing.assert_frame_equal(asked.mine(), whole)


def test_a_random_one_stays_however_many_are_drawn_beside_it() -> None:
    asked = ask(10, documents=3000)
    few, more = (
        asked.mine(max_log=0, look_at=1, skip=1, count=m, max_positive_share=0.6) for m in (3, 7)
    )
    for short, longer in zip(few["negatives"], more["negatives"], strict=True):
        assert [n["doc_id"] for n in short] == [n["doc_id"] for n in longer][:3]


def test_a_random_one_is_far_though_another_judge_ranks() -> None:
    asked, calls = ask(8, documents=300), []

    def score(query: np.ndarray, document: np.ndarray) -> np.ndarray:
        calls.append(len(query))
        return np.ones(len(query), dtype=np.float32)  # so that no near one is below the bound

    for row in asked.mine(score=score, max_log=0, count=8, max_positive_share=0.5).itertuples():
        query, drawn = int(row.query[1:]), [int(n["doc_id"][1:]) for n in row.negatives]
        assert {n["origin"] for n in row.negatives} == {"random"}
        assert all(n["score"] is None for n in row.negatives)
        limit = max(asked.bound(query, 0.5), asked.farther_half(query, seed=3))
        assert (asked.similarity[query, drawn] < limit).all()
        assert asked.similarity[query].max() > 2 * limit  # there are nearer ones to draw
    known = 2 * sum(map(len, asked.positives)) + sum(map(len, asked.passed))
    assert sum(calls) <= known + len(asked.positives) * asked.neighbours  # none of them random


def test_whoever_is_short_looks_further_and_finds_the_same() -> None:
    asked = ask(9, documents=400, queries=30, neighbours=300)
    depths: list[tuple[int, int]] = []

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        depths.append((len(queries), k))
        return asked.search(queries, k)

    mined = asked.mine(search=search, count=3, max_positive_share=0.98)
    assert depths[0] == (30, 14) and 0 < depths[1][0] < 30 and depths[1][1] == 300
    whole = asked.mine(search=lambda queries, k: asked.search(queries, 300), count=3,
                       max_positive_share=0.98)  # fmt: skip
    pd.testing.assert_frame_equal(mined, whole)


def test_another_judge_ranks_anew_and_sets_the_bound() -> None:
    asked = ask(7)

    def score(query: np.ndarray, document: np.ndarray) -> np.ndarray:
        best = np.array([rows[0] for rows in asked.positives])[query] == document
        return np.where(best, 1.0, document / 1000).astype(np.float32)

    one = replace(asked, positives=[rows[:1] for rows in asked.positives])
    triplets = one.mine(score=score, max_log=0, max_random=0)
    for row in triplets.itertuples():
        query = int(row.query[1:])
        near = np.argsort(-asked.similarity[query], kind="stable")[: asked.neighbours]
        wanted = sorted(set(near.tolist()) - {int(row.positive[1:])}, reverse=True)[:6]
        assert [int(n["doc_id"][1:]) for n in row.negatives] == wanted


def test_what_was_wanted_for_a_similar_query_is_forbidden_with_its_twins() -> None:
    asked = np.eye(4, dtype=np.float32)
    asked[1] = [0.99, np.sqrt(1 - 0.99**2), 0, 0]  # near to the first
    wanted = csr_array(np.eye(4, 9, dtype=np.int64))
    similarity = asked @ asked.T

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        near = np.argsort(-(queries @ asked.T), axis=1, kind="stable")[:, :k]
        return np.take_along_axis(queries @ asked.T, near, axis=1), near

    found = forbidden_pairs(
        wanted,
        ["a", "b", "same", "same"],
        asked,
        queries=np.array([0, 2]),
        twins=(np.array([1]), np.array([8])),
        similar_query=0.95,
        search=search,
    )
    assert similarity[0, 1] >= 0.95
    assert set(zip(found.query.tolist(), found.document.tolist(), strict=True)) == {
        (0, 0),
        (0, 1),  # wanted for a similar query
        (0, 8),  # and its twin
        (1, 2),
        (1, 3),  # wanted for a query that asks the same
    }


def test_triplets_fit_their_schema() -> None:
    mined = ask(4).mine()
    table = pa.Table.from_pandas(mined, schema=TRIPLETS, preserve_index=False)
    pd.testing.assert_frame_equal(table.to_pandas(), mined)
