"""The simulated public: its habits show in the log, within what chance allows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from perennial.data.schema import EVENT_TYPES
from perennial.errors import BadInput
from perennial.simulation.public import Habits, Log, sessions_with_success, simulate_sessions
from perennial.simulation.searches import LEXICAL, lexical_search

START = datetime(2026, 1, 5, tzinfo=UTC)
RESULTS = 6
DOCUMENTS = [f"d{i}" for i in range(40)]
TRUTH = pd.DataFrame({"query": [f"q{i}" for i in range(20)], "doc_id": DOCUMENTS[:20], "grade": 1})
HABITS = Habits(
    position_decay=0.5,
    click_if_relevant=0.8,
    click_if_not=0.1,
    stop_after_click=0.6,
    abandon=0.05,
    max_requests=3,
    explore=0.2,
)
# Nobody leaves and nobody errs: every look is independent, every click is one.
PATIENT = Habits(
    position_decay=0.5,
    click_if_relevant=1.0,
    click_if_not=0.0,
    stop_after_click=0.0,
    abandon=0.0,
    max_requests=1,
    explore=0.0,
)


def search(queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Query i finds from document i+1 on, its answer (document i) at rank i % k + 1."""
    rows = []
    for query in queries:
        number = int(query[1:])
        others = [DOCUMENTS[(number + 1 + j) % len(DOCUMENTS)] for j in range(k - 1)]
        others.insert(number % k, DOCUMENTS[number])
        rows.append(others)
    scores = np.tile(np.linspace(1, 0.5, k, dtype=np.float32), (len(queries), 1))
    return scores, np.array(rows, dtype=object)


def simulate(habits: Habits = HABITS, **changes: Any) -> Log:
    given: dict[str, Any] = {
        "sessions": 3_000,
        "start": START,
        "days": 2.0,
        "results": RESULTS,
        "habits": habits,
        "seed": 7,
        "tag": "t",
        "channel": "production",
        "arm": "stable",
        "release_id": "rel-000000000000",
    }
    using = changes.pop("search", search)
    truth = changes.pop("truth", TRUTH)
    return simulate_sessions(using, truth, **(given | changes))


def seen(log: Log) -> pd.DataFrame:
    """The impressions with their query, whether they answer it, and whether they were clicked."""
    clicks = log.events[log.events["type"] == "click"][["request_id", "doc_id"]]
    rows = log.impressions.merge(log.requests[["request_id", "query", "explored"]])
    rows = rows.merge(clicks.assign(clicked=True), how="left")
    wanted = dict(zip(TRUTH["query"], TRUTH["doc_id"], strict=True))
    return rows.assign(
        clicked=rows["clicked"].notna(), wanted=rows["query"].map(wanted) == rows["doc_id"]
    )


def is_plausible(hits: int, trials: int, chance: float) -> bool:
    """Would a fair coin of that chance do this once in ten thousand times, or more often?"""
    return bool(binomtest(int(hits), int(trials), chance).pvalue > 1e-4)


# ---- habits


def test_each_rank_is_looked_at_as_often_as_the_decay_says() -> None:
    rows = seen(simulate(PATIENT, sessions=12_000))
    assert not rows[~rows["wanted"]]["clicked"].any()
    for rank, found in rows[rows["wanted"]].groupby("rank"):
        assert is_plausible(found["clicked"].sum(), len(found), float(rank) ** -0.5)


def test_what_is_not_wanted_is_clicked_as_often_as_the_noise_says() -> None:
    habits = Habits(**{**vars(PATIENT), "position_decay": 0.0, "click_if_not": 0.1})
    rows = seen(simulate(habits))
    noise = rows[~rows["wanted"]]
    assert is_plausible(noise["clicked"].sum(), len(noise), 0.1)
    assert rows[rows["wanted"]]["clicked"].all()


def test_a_satisfied_person_leaves_as_often_as_stated() -> None:
    habits = Habits(**{**vars(PATIENT), "position_decay": 0.0, "stop_after_click": 0.6})
    habits = Habits(**{**vars(habits), "click_if_not": 1.0})  # every look is a click
    rows = seen(simulate(habits))
    stayed = 0.4 ** (rows["rank"] - 1)
    for rank, found in rows.groupby("rank"):
        assert is_plausible(found["clicked"].sum(), len(found), 0.4 ** (int(rank) - 1))
    assert rows["clicked"].mean() == pytest.approx(stayed.mean(), abs=0.01)


def test_a_look_without_a_click_is_the_last_as_often_as_stated() -> None:
    habits = Habits(**{**vars(PATIENT), "position_decay": 0.0, "abandon": 0.2})
    rows = seen(simulate(habits))
    for rank, found in rows[rows["wanted"]].groupby("rank"):
        assert is_plausible(found["clicked"].sum(), len(found), 0.8 ** (int(rank) - 1))


def test_requests_per_session_are_spread_evenly_up_to_the_most() -> None:
    lengths = simulate().requests.groupby("session_id").size()
    assert set(lengths) == {1, 2, 3}
    for length in (1, 2, 3):
        assert is_plausible((lengths == length).sum(), len(lengths), 1 / 3)


def test_what_was_wanted_is_stayed_on_for_long_and_the_rest_is_not() -> None:
    log = simulate()
    dwells = log.events[log.events["type"] == "dwell"].merge(log.requests[["request_id", "query"]])
    wanted = dwells["query"].str[1:] == dwells["doc_id"].str[1:]
    assert dwells[wanted]["value"].min() >= 40 and dwells[~wanted]["value"].max() <= 25


# ---- exploration


def test_explored_requests_are_as_many_as_stated_and_differ_by_one_swap() -> None:
    log = simulate()
    assert is_plausible(log.requests["explored"].sum(), len(log.requests), 0.2)
    _, ranking = search(TRUTH["query"].tolist(), RESULTS)
    rows = seen(log)
    for (query, explored), found in rows.groupby(["query", "explored"]):
        usual = ranking[int(query[1:])].tolist()
        for shown in found.groupby("request_id", sort=False)["doc_id"].apply(list):
            moved = [r for r in range(RESULTS) if shown[r] != usual[r]]
            if explored:
                first, second = moved
                assert second == first + 1 and shown[first] == usual[second]
            else:
                assert moved == []


def test_a_propensity_is_the_share_of_times_that_a_document_stands_there() -> None:
    log = simulate(sessions=20_000)
    _, ranking = search(TRUTH["query"].tolist(), RESULTS)
    usual = {(f"q{i}", d): r for i, row in enumerate(ranking) for r, d in enumerate(row, 1)}
    rows = seen(log)
    rows["usual"] = [usual[q, d] for q, d in zip(rows["query"], rows["doc_id"], strict=True)]
    counts = rows.groupby("usual").size()
    for (home, _), found in rows.groupby(["usual", "rank"]):
        assert found["propensity"].nunique() == 1
        assert is_plausible(len(found), counts[home], found["propensity"].iloc[0])
    chances = rows.drop_duplicates(["usual", "rank"]).groupby("usual")["propensity"].sum()
    assert chances.tolist() == pytest.approx([1.0] * RESULTS)


def test_without_exploration_every_document_stands_where_it_belongs() -> None:
    log = simulate(PATIENT)
    assert not log.requests["explored"].any() and (log.impressions["propensity"] == 1).all()


@pytest.mark.parametrize("found", [0, 1, 2])
def test_few_results_are_swapped_only_where_there_are_two(found: int) -> None:
    def scarce(queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        scores, doc_ids = search(queries, k)
        scores[:, found:], doc_ids[:, found:] = -np.inf, None
        return scores, doc_ids

    log = simulate(Habits(**{**vars(HABITS), "explore": 1.0}), search=scarce, sessions=50)
    assert (log.requests["n_results"] == found).all()
    assert len(log.impressions) == found * len(log.requests)
    assert log.requests["explored"].all() == (found == 2)
    assert (log.impressions["propensity"] == 1.0).all()  # two results: one swap, always taken
    assert np.isfinite(log.impressions["score"]).all()


# ---- the log as a table


def test_the_log_keeps_the_promises_of_its_tables() -> None:
    log = simulate()
    assert log.requests["request_id"].is_unique and log.events["event_id"].is_unique
    impressions = log.impressions
    assert not impressions.duplicated(["request_id", "doc_id"]).any()
    ranks = impressions.groupby("request_id")["rank"].agg(["min", "max", "count", "nunique"])
    assert (ranks["min"] == 1).all()
    assert (ranks["max"] == ranks["count"]).all() and (ranks["nunique"] == ranks["count"]).all()
    assert set(impressions["request_id"]) == set(log.requests["request_id"])
    shown = set(zip(impressions["request_id"], impressions["doc_id"], strict=True))
    assert set(zip(log.events["request_id"], log.events["doc_id"], strict=True)) <= shown
    assert set(log.events["type"]) == {"click", "dwell"} <= set(EVENT_TYPES)
    asked = log.requests["n_results"].to_numpy()
    assert (ranks["count"].loc[log.requests["request_id"]].to_numpy() == asked).all()


def test_requests_lie_in_the_stated_days_and_events_follow_them() -> None:
    log = simulate(days=0.5)
    assert log.requests["ts"].min() >= START
    assert log.requests["ts"].max() <= START + timedelta(days=0.5)
    asked = log.requests.set_index("request_id")["ts"]
    late = log.events["ts"] - log.events["request_id"].map(asked)
    assert late.min() > timedelta(0) and late.max() <= timedelta(seconds=300)
    sessions = log.requests.groupby("session_id", sort=False)["ts"]
    assert sessions.apply(lambda ts: ts.is_monotonic_increasing).all()
    assert (sessions.max() - sessions.min()).max() <= timedelta(seconds=240)


def test_ids_of_two_logs_do_not_meet() -> None:
    one, two = simulate(sessions=50, tag="a"), simulate(sessions=50, tag="b")
    for table, column in (("requests", "request_id"), ("requests", "session_id")):
        assert not set(getattr(one, table)[column]) & set(getattr(two, table)[column])
    assert not set(one.events["event_id"]) & set(two.events["event_id"])


def test_the_seed_alone_decides_the_log() -> None:
    one, two, other = simulate(sessions=200), simulate(sessions=200), simulate(sessions=200, seed=8)
    for table in ("requests", "impressions", "events"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(two, table))
    assert not one.requests["query"].equals(other.requests["query"])


def test_a_better_search_makes_more_sessions_happy() -> None:
    def worst(queries: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        scores, doc_ids = search(queries, 30)
        return scores[:, 20 : 20 + k], doc_ids[:, 20 : 20 + k]

    happy, sessions = sessions_with_success(simulate())
    unhappy, as_many = sessions_with_success(simulate(search=worst))
    assert sessions == as_many == 3_000
    assert happy > 2 * unhappy


def test_success_is_a_long_stay_after_a_click() -> None:
    log = simulate(sessions=100)
    dwells = log.events[log.events["type"] == "dwell"].merge(
        log.requests[["request_id", "session_id"]]
    )
    wanted = dwells[dwells["value"] >= 30]["session_id"].nunique()
    assert sessions_with_success(log) == (wanted, 100)
    assert sessions_with_success(log, dwell_seconds=1e6) == (0, 100)


@pytest.mark.parametrize("truth", [TRUTH[:0], TRUTH.assign(grade=0)])
def test_without_known_answers_nobody_can_be_simulated(truth: pd.DataFrame) -> None:
    with pytest.raises(BadInput, match="no query has a known answer"):
        simulate(truth=truth)


def test_people_use_the_lexical_search_of_today() -> None:
    catalogue = pd.DataFrame(
        {
            "doc_id": ["a", "b", "c"],
            "title": ["sum", "mean", "sort"],
            "text": ["adds all numbers", "averages all numbers", "orders things"],
        }
    )
    truth = pd.DataFrame({"query": ["adds numbers"], "doc_id": ["a"], "grade": [1]})
    log = simulate(search=lexical_search(catalogue), truth=truth, sessions=40, release_id=LEXICAL)
    assert set(log.impressions["doc_id"]) == {"a", "b"}  # no word of c was asked for
    first = log.impressions[log.impressions["rank"] == 1]
    assert (first["doc_id"] == "a").mean() > 0.5
    assert set(log.requests["release_id"]) == {"lexical-bm25"}
