"""Counts of sessions out of a log, against what stands in it line by line."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from perennial.data.sessions import Drawn, count_sessions
from perennial.data.tables import write_table

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
OURS, THEIRS = "rel-cccccccccccc", "rel-aaaaaaaaaaaa"
STEPS = [
    Drawn("canary", 0.1, NOON, NOON + timedelta(hours=6)),
    Drawn("interleave", 0.5, NOON + timedelta(hours=6), NOON + timedelta(hours=12)),
]


def request(number: int, session: str, minutes: float, arm: str = "stable", **changes) -> dict:
    return {
        "request_id": f"q-{number}",
        "session_id": session,
        "ts": NOON + timedelta(minutes=minutes),
        "query": "sort",
        "channel": "production",
        "arm": arm,
        "release_id": OURS if arm == "candidate" else THEIRS,
        "n_results": 10,
        "latency_ms": 10.0,
        "explored": False,
    } | changes


def event(number: int, request: int, minutes: float, kind: str, value=None, doc="d1") -> dict:
    return {
        "event_id": f"e-{number}",
        "request_id": f"q-{request}",
        "doc_id": doc,
        "type": kind,
        "value": value,
        "ts": NOON + timedelta(minutes=minutes),
    }


def impression(request: int, doc: str, rank: int, team: str | None) -> dict:
    return {
        "request_id": f"q-{request}",
        "doc_id": doc,
        "rank": rank,
        "score": 1.0,
        "release_id": OURS if team == "candidate" else THEIRS,
        "team": team,
        "propensity": None,
    }


@pytest.fixture
def count(tmp_path):
    def counted(requests, events=(), impressions=(), *, hours=24.0, **changes):
        for name, rows in {
            "requests": requests, "events": events, "impressions": impressions
        }.items():  # fmt: skip
            if rows:
                write_table(pd.DataFrame(rows), tmp_path / name / "part.parquet", table=name)
        asked = {
            "channel": "production",
            "steps": STEPS,
            "candidate_releases": [OURS],
            "slow_ms": 100.0,
            "now": NOON + timedelta(hours=hours),
            "session_seconds": 1800,
            "click_window_seconds": 1800,
            "dwell_seconds": 30.0,
            "memory_mb": 256,
        }
        found = count_sessions(tmp_path, **(asked | changes))
        return {(each.step, each.arm): each for each in found}

    return counted


def test_a_session_is_of_the_step_and_arm_that_its_first_request_met(count):
    found = count(
        [
            request(1, "before", -5),
            request(2, "before", 5, "candidate"),
            request(3, "moved", 350),
            request(4, "moved", 365, "interleaved"),
            request(5, "ours", 10, "candidate"),
            request(5, "ours", 10, "candidate"),  # the same line twice
            request(6, "elsewhere", 10, channel="staging"),
            request(7, "late", 721),
        ]
    )
    assert {key: each.began for key, each in found.items()} == {
        (0, "stable"): 1,
        (0, "candidate"): 1,
    }


def test_success_is_a_long_stay_or_a_conversion_in_time(count):
    requests = [request(i, f"s{i}", 10, "candidate") for i in range(6)]
    requests.append(request(9, "s5", 50, "candidate"))  # too late in its session
    events = [
        event(0, 0, 12, "dwell", 31.0),
        event(1, 1, 12, "dwell", 29.0),
        event(2, 2, 12, "convert"),
        event(3, 3, 12, "click"),
        event(4, 4, 45, "dwell", 90.0),
        event(5, 9, 52, "dwell", 90.0),
        event(6, 4, 12, "click"),
    ]
    (found,) = count(requests, events).values()
    assert (found.began, found.settled, found.successes) == (6, 6, 2)


def test_a_session_counts_only_once_its_time_has_passed_whatever_it_did(count):
    requests = [request(1, "old", 10), request(2, "young", 40)]
    events = [event(1, 1, 12, "convert"), event(2, 2, 42, "convert")]
    (found,) = count(requests, events, hours=1.2).values()
    assert (found.began, found.settled, found.successes) == (2, 1, 1)


def test_first_answers_that_were_slow_failed_or_empty_are_counted(count):
    found = count(
        [
            request(1, "a", 1, "candidate", latency_ms=101.0),
            request(2, "b", 1, "candidate", release_id=THEIRS),
            request(3, "c", 1, "candidate", n_results=0),
            request(4, "d", 1, "candidate"),
            request(5, "d", 2, "candidate", n_results=0, latency_ms=900.0, release_id=THEIRS),
            request(6, "e", 1, n_results=0, latency_ms=101.0),
        ]
    )
    ours, theirs = found[0, "candidate"], found[0, "stable"]
    assert (ours.began, ours.slow, ours.failed, ours.empty) == (4, 1, 1, 1)
    assert (theirs.began, theirs.slow, theirs.failed, theirs.empty) == (1, 1, 0, 1)


def test_an_interleaved_session_is_won_by_who_has_more_of_its_successes(count):
    requests = [request(i, f"s{i}", 400, "interleaved") for i in range(4)]
    shown = [
        impression(i, doc, rank, team)
        for i in range(4)
        for rank, (doc, team) in enumerate(
            [("d1", "candidate"), ("d2", "stable"), ("d3", "candidate")], start=1
        )
    ]
    clicks = [(0, "d1"), (0, "d3"), (0, "d2"), (1, "d2"), (2, "d1"), (2, "d2")]
    events = [event(n, i, 401, "dwell", 60.0, doc=doc) for n, (i, doc) in enumerate(clicks)]
    events.append(event(99, 3, 401, "click", doc="d1"))  # left again at once: no sign of success
    found = count(requests, events, shown)[1, "candidate"]
    assert (found.wins, found.losses, found.ties) == (1, 1, 2)


def test_without_a_log_nothing_is_counted(count, tmp_path):
    assert count([]) == {}
