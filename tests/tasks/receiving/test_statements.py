"""Whoever says it: a reason, evidence, and a key that is the same for the same news."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.receiving.statements import Malformed, read_statement

# As Alertmanager 0.28 (version 4) and Grafana 12 send them.
ALERT = {
    "status": "firing",
    "labels": {"alertname": "ZeroResults", "severity": "page"},
    "annotations": {"summary": "8 % of queries find nothing"},
    "startsAt": "2026-11-21T11:02:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "c5f1a7e04f1b6a21",
}
GROUP = {"version": "4", "groupKey": "{}:{}", "status": "firing", "receiver": "perennial"}
LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
PIECE = st.dictionaries(st.sampled_from(["name", "status", "labels", "n", "holds"]), LEAF)


def read(value):
    return read_statement(json.dumps(value).encode())


def test_alerts_that_fire_are_the_evidence_and_a_reminder_is_no_news():
    calm = ALERT | {"status": "resolved", "fingerprint": "another"}
    said = read(GROUP | {"alerts": [ALERT, calm]})
    assert (said.reason, said.is_over) == ("1 firing: ZeroResults", False)
    assert said.evidence == (
        {
            "name": "ZeroResults",
            "since": "2026-11-21T11:02:00Z",
            "says": "8 % of queries find nothing",
        },
    )
    reminder = read(GROUP | {"alerts": [ALERT], "truncatedAlerts": 0})
    assert reminder.key == said.key
    later = ALERT | {"startsAt": "2026-11-21T19:00:00Z"}
    assert read(GROUP | {"alerts": [later]}).key != said.key
    assert read(GROUP | {"status": "resolved", "alerts": [calm]}).is_over


def test_failed_tests_of_evidently_are_the_evidence():
    tests = [
        {"name": "Share of drifted columns", "description": "0.6 is over 0.5", "status": "FAIL"},
        {"name": "Missing values", "description": "0", "status": "SUCCESS"},
    ]
    said = read({"metrics": [{"value": float("nan")}], "tests": tests})
    assert said.reason == "1 of 2 tests failed"
    assert [each["name"] for each in said.evidence] == ["Share of drifted columns"]
    assert read({"metrics": [], "tests": tests[1:]}).is_over


def test_a_registry_s_event_says_what_happened():
    data = {"name": "base", "version": "4", "source": "/secret/place"}
    said = read({"entity": "model_version", "action": "created", "data": data})
    assert said.reason == "model_version.created: name base, version 4"


@pytest.mark.parametrize(
    ("value", "why"),
    [([], "object"), ({}, "reason"), ({"reason": "r", "evidence": 1}, "list"),
     ({"reason": "r", "evidence": [{}]}, "name")],
)  # fmt: skip
def test_what_says_nothing_is_refused_with_what_is_missing(value, why):
    with pytest.raises(Malformed, match=why):
        read(value)


@pytest.mark.parametrize(
    ("n", "counts"), [("NaN", 0), ("1e400", 0), ("null", 0), ('"200"', 0), ("199", 0), ("200", 1)]
)
def test_a_number_of_observations_that_is_none_is_not_enough(n, counts):
    body = f'{{"reason": "r", "evidence": [{{"name": "a", "n": {n}}}]}}'.encode()
    assert read_statement(body).weight(200) == counts


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(["alerts", "tests", "entity", "action", "data", "reason", "evidence"]),
        LEAF | st.lists(PIECE, max_size=3) | PIECE,
    )
)
def test_whatever_is_sent_becomes_plain_bounded_values_or_is_refused(value):
    try:
        said = read(value)
    except Malformed:
        return
    assert json.dumps([dict(each) for each in said.evidence], allow_nan=False).encode()
    assert len(said.reason) <= 300 and said.reason.encode() and said.key.encode()
    assert said.weight(200) <= len(said.evidence)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000, b'{"reason": NaN}', b"1" * 9_999])
def test_no_body_is_more_than_malformed(body):
    with pytest.raises(Malformed):
        read_statement(body)
