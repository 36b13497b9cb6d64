"""Triplets: whatever is drawn, no negative is a known positive or nearly as near as one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.mine import TRIPLETS, mine_triplets

ORDER = ("log", "ann", "random")


@dataclass(frozen=True)
class Asked:
    """Queries over documents of random unit vectors, with positives and passed-over documents."""

    similarity: np.ndarray  # (q, n)
    positives: list[np.ndarray]
    passed: list[np.ndarray]
    neighbours: int

    def mine(self, **changes: Any) -> pd.DataFrame:
        near = np.argsort(-self.similarity, axis=1, kind="stable")[:, : self.neighbours]
        given = {
            "queries": [f"q{i}" for i in range(len(self.similarity))],
            "positives": self.positives,
            "known": self.positives,
            "log_negatives": self.passed,
            "positive_scores": self.scores(self.positives),
            "log_scores": self.scores(self.passed),
            "neighbours": near,
            "neighbour_scores": np.take_along_axis(self.similarity, near, axis=1),
            "doc_ids": np.array([f"d{i}" for i in range(self.similarity.shape[1])], dtype=object),
            "documents": self.similarity.shape[1],
            "negatives": 6,
            "max_log": 2,
            "max_positive_share": 0.9,
            "seed": 3,
        }
        return mine_triplets(**(given | changes))

    def scores(self, rows: list[np.ndarray]) -> list[np.ndarray]:
        return [self.similarity[i, r] for i, r in enumerate(rows)]

    def bound(self, query: int, share: float = 0.9) -> float:
        return share * max(0.0, float(self.similarity[query, self.positives[query]].min()))


def ask(seed: int, *, documents: int = 60, queries: int = 4, neighbours: int = 20) -> Asked:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((documents + queries, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = (vectors[documents:] @ vectors[:documents].T).astype(np.float32)
    # positives are near, as they are in life; some stand where the next query's negatives stand
    near = np.argsort(-similarity, axis=1)
    counts = rng.integers(1, 4, queries)
    positives = [
        np.sort(rng.choice(near[i, :12], counts[i], replace=False)) for i in range(queries)
    ]
    passed = [rng.choice(row, rng.integers(0, 6), replace=False) for row in near]
    return Asked(similarity, positives, passed, neighbours)


worlds = st.builds(
    ask,
    st.integers(0, 10_000),
    documents=st.integers(12, 80),
    neighbours=st.integers(1, 12),
)


@given(worlds, st.integers(1, 8), st.integers(0, 8))
def test_no_negative_is_wanted_or_nearly_as_near(asked: Asked, negatives: int, log: int) -> None:
    triplets = asked.mine(negatives=negatives, max_log=log)
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
            if negative["origin"] == "random":
                assert negative["score"] is None and document not in looked_at
            else:
                assert negative["score"] == asked.similarity[query, document]
                assert negative["score"] < asked.bound(query)


@given(worlds, st.integers(1, 8), st.integers(0, 3))
def test_the_log_and_the_nearest_are_those_of_the_slow_twin(
    asked: Asked, negatives: int, log: int
) -> None:
    triplets = asked.mine(negatives=negatives, max_log=log)
    for row in triplets.itertuples():
        query = int(row.query[1:])
        scores, bound = asked.similarity[query], asked.bound(query)
        good = [r for r in range(len(scores)) if scores[r] < bound]
        good = [r for r in good if r not in asked.positives[query]]
        wanted = [r for r in asked.passed[query] if r in good][: min(log, negatives)]
        near = sorted(range(len(scores)), key=lambda r: -scores[r])[: asked.neighbours]
        wanted += [r for r in near if r in good and r not in wanted]
        found = [int(n["doc_id"][1:]) for n in row.negatives if n["origin"] != "random"]
        assert found == wanted[:negatives]


@given(worlds)
def test_random_ones_fill_up_as_long_as_there_are_any(asked: Asked) -> None:
    near = np.argsort(-asked.similarity, axis=1, kind="stable")[:, : asked.neighbours]
    for row in asked.mine(negatives=9).itertuples():
        query = int(row.query[1:])
        taken = {*near[query], *asked.passed[query], *asked.positives[query]}
        free = asked.similarity.shape[1] - len(taken)
        mined = sum(n["origin"] != "random" for n in row.negatives)
        assert len(row.negatives) == min(9, mined + free)


def test_a_document_that_somebody_may_have_wanted_is_no_negative() -> None:
    asked = ask(4)
    doubtful = [np.array([int(n[1:])]) for n in first_negatives(asked.mine(), len(asked.positives))]
    triplets = asked.mine(known=doubtful)
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
    triplets = Asked(asked.similarity, many, asked.passed, 20).mine(negatives=10)
    assert (triplets["negatives"].map(len) == 10).all()


def test_an_answer_beyond_a_right_angle_has_no_hard_negatives_before_it() -> None:
    asked = ask(1)
    far = [np.array([int(row.argmin())]) for row in asked.similarity]
    triplets = Asked(asked.similarity, far, asked.passed, 20).mine()
    negatives = [n for row in triplets["negatives"] for n in row]
    assert {n["origin"] for n in negatives} == {"log", "random"}
    assert all(n["score"] is None or n["score"] < 0 for n in negatives)


def test_the_seed_alone_decides_the_random_ones() -> None:
    asked = ask(2)
    once, again, other = (asked.mine(max_positive_share=0.0, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(once, again)
    assert not once["negatives"].equals(other["negatives"])


def test_rows_that_a_search_could_not_fill_are_passed_by() -> None:
    asked = ask(3)
    empty = np.full((4, 5), -1)
    scores = np.full((4, 5), -np.inf, dtype=np.float32)
    triplets = asked.mine(neighbours=empty, neighbour_scores=scores)
    assert {n["origin"] for row in triplets["negatives"] for n in row} <= {"log", "random"}


def test_triplets_fit_their_schema() -> None:
    table = pa.Table.from_pandas(ask(4).mine(), schema=TRIPLETS, preserve_index=False)
    assert table.num_rows and table.schema.equals(TRIPLETS, check_metadata=False)
