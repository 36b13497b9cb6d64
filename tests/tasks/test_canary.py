"""The canary on simulated people: the same on both arms, and equal arms hardly ever refused."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from perennial.params import load_params
from perennial.quality.canary import compare_arms, judge_canary
from perennial.simulation.public import Log, Search, session_success, simulate_sessions
from perennial.verbs.simulate import habits
from tasks.workspace import checkout

PARAMS = load_params(checkout() / "params.yaml")
QUERIES = 400
TRUTH = pd.DataFrame(
    {
        "query": [f"q{i}" for i in range(QUERIES)],
        "doc_id": [f"d{i}" for i in range(QUERIES)],
        "grade": 1,
    }
)


def engine(seed: int, *, found: float = 0.8) -> Search:
    """Finds the answers to a share of the queries, each at a rank that the seed decides."""
    rng = np.random.default_rng(seed)
    rank = np.minimum(rng.geometric(0.35, QUERIES) - 1, 9)
    rank[rng.random(QUERIES) >= found] = -1

    def search(queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        number = np.array([int(query[1:]) for query in queries])
        others = np.array([f"other-{i}" for i in range(k)], dtype=object)
        doc_ids = np.tile(others, (len(number), 1))
        rows = np.flatnonzero(rank[number] >= 0)
        doc_ids[rows, rank[number[rows]]] = [f"d{i}" for i in number[rows]]
        return np.zeros(doc_ids.shape), doc_ids

    return search


def visit(search: Search, *, seed: int, tag: str = "arm", sessions: int | None = None) -> Log:
    return simulate_sessions(
        search,
        TRUTH,
        sessions=sessions or PARAMS.canary.sessions // 2,
        start=datetime(2026, 1, 5, tzinfo=UTC),
        days=1.0,
        results=PARAMS.simulate.results,
        habits=habits(PARAMS.simulate),
        seed=seed,
        tag=tag,
        channel="production",
        arm="stable",
        release_id="rel-000000000000",
    )


def judge(stable: np.ndarray, candidate: np.ndarray, *, seed: int) -> str:
    section = PARAMS.canary
    found = compare_arms(
        stable,
        candidate,
        max_loss=section.max_loss,
        samples=500,
        confidence=section.confidence,
        seed=seed,
    )
    return judge_canary(found).outcome


def test_session_i_of_both_arms_is_the_same_person_with_the_same_wishes():
    one, other = visit(engine(1), seed=3), visit(engine(2, found=0.1), seed=3, tag="other")
    assert one.requests["query"].tolist() == other.requests["query"].tolist()
    number = [log.requests["session_id"].str[-7:].tolist() for log in (one, other)]
    assert number[0] == number[1]
    assert one.requests["ts"].tolist() == other.requests["ts"].tolist()
    # Where both show the answer at the same rank, the same people find it.
    success = session_success(one)
    assert len(success) == len(set(number[0]))
    assert success.tolist() == session_success(visit(engine(1), seed=3, tag="again")).tolist()
    assert session_success(other).sum() < success.sum()


def test_pairs_tell_more_than_two_groups_of_strangers():
    stable, candidate = (session_success(visit(engine(n), seed=5)).astype(float) for n in (1, 2))
    assert np.var(candidate - stable) < 0.95 * (np.var(candidate) + np.var(stable))


def test_equal_arms_advance_in_the_large_majority_and_are_never_rolled_back():
    """A coin per person says which of two searches is which arm: different answers, equal arms."""
    outcomes = Counter()
    for seed in range(24):
        one, two = (session_success(visit(engine(2 * seed + n), seed=seed)) for n in (0, 1))
        coin = np.random.default_rng(seed).random(len(one)) < 0.5
        outcomes[judge(np.where(coin, one, two), np.where(coin, two, one), seed=seed)] += 1
    assert outcomes["rollback"] == 0
    assert outcomes["advance"] >= 18, outcomes


def test_a_candidate_that_loses_much_never_advances():
    for seed in range(5):
        stable = session_success(visit(engine(seed), seed=seed))
        worse = session_success(visit(engine(seed, found=0.4), seed=seed))
        assert judge(stable, worse, seed=seed) == "rollback"
