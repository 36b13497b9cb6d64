"""Events: only for answers of ours and what those showed, each once."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.serving.tickets import MOST, Tickets


def sent(served, *events):
    return served.client.post("/events", json={"events": list(events)})


def click(request_id, **more):
    return {"request_id": request_id, "doc_id": "first-7", "type": "click"} | more


def counts(taken, **more):
    return {"taken": taken, "repeated": 0, "refused": 0, "error": None} | more


def test_events_of_an_answer_stand_in_the_log(serve):
    served = serve()
    request_id = served.search("word7")[0]["request_id"]
    dwell = click(request_id, type="dwell", value=12.5)
    assert sent(served, click(request_id), dwell).json() == counts(2)
    rows = served.logged("events")
    assert [(r["request_id"], r["doc_id"], r["type"], r["value"]) for r in rows] == [
        (request_id, "first-7", "click", None), (request_id, "first-7", "dwell", 12.5),
    ]  # fmt: skip
    assert len({row["event_id"] for row in rows}) == 2


def test_an_event_that_is_sent_again_counts_once(serve):
    served = serve()
    request_id = served.search("word7")[0]["request_id"]
    event, other = click(request_id, event_id="mine"), click(request_id, event_id="other")
    sent(served, event)
    assert sent(served, event, other).json() == counts(1, repeated=1)
    assert len(served.logged("events")) == 2


@pytest.mark.parametrize(
    "forge",
    [
        lambda real: "made-up",
        lambda real: real[:-2] + ("AA" if real[-2:] != "AA" else "BA"),
        lambda real: ("B" if real[0] == "A" else "A") + real[1:],
        lambda real: real + "==",
        lambda real: real[:-4],
        lambda real: "é" + real,
    ],
)
def test_an_event_of_no_answer_of_ours_is_refused_and_what_came_with_it_is_taken(serve, forge):
    served = serve()
    real = served.search("word7")[0]["request_id"]
    answer = sent(served, click(forge(real)), click(forge(real)))
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("event 1 of 2 names a request_id")
    told = sent(served, click(real), click(forge(real))).json()
    assert told.pop("error").startswith("event 2 of 2 names a request_id")
    assert told | {"error": None} == counts(1, refused=1)
    assert [row["request_id"] for row in served.logged("events")] == [real]


def test_a_request_of_another_key_is_none_of_ours(serve):
    foreign = serve(events_key=b"another key").search("word7")[0]["request_id"]
    assert sent(serve(), click(foreign)).status_code == 403


@pytest.mark.parametrize("value", [14_401, None])
def test_a_dwell_that_nobody_stayed_is_left_out(serve, value):
    served = serve()
    request_id = served.search("word7")[0]["request_id"]
    dwell = click(request_id, type="dwell", value=value)
    assert sent(served, dwell).status_code == 422
    told = sent(served, dwell, click(request_id)).json()
    assert (told["taken"], told["refused"]) == (1, 1) and "a dwell of" in told["error"]


@pytest.mark.parametrize("value", [-1, 1e10, "NaN", "long"])
def test_a_dwell_that_is_no_span_of_time_is_refused(serve, value):
    served = serve()
    request_id = served.search("word7")[0]["request_id"]
    answer = sent(served, click(request_id), click(request_id, type="dwell", value=value))
    assert answer.status_code == 422 and "event" in answer.json()["error"]
    assert sent(served, click(request_id, type="dwell", value=0.0)).json()["taken"] == 1


def test_an_event_about_what_its_answer_did_not_show_is_refused(serve):
    served = serve()
    one, other = served.search(["word7", "word1"], k=1)
    shown = click(one["request_id"])
    for stray in (click(other["request_id"]), click(one["request_id"], doc_id="elsewhere")):
        answer = sent(served, stray)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("event 1 of 1 is about document")
        told = sent(served, stray, shown).json()
        assert told["error"].startswith("event 1 of 2 is about document")
        assert (told["taken"] + told["repeated"], told["refused"]) == (1, 1)
    nothing = served.search("nothingthatisknown")[0]["request_id"]
    assert sent(served, click(nothing)).status_code == 422
    assert [row["doc_id"] for row in served.logged("events")] == ["first-7"]


def test_another_process_knows_the_answer_too_and_its_clock_puts_no_event_before_it(serve):
    served, other = serve(), serve()
    request_id = served.search("word7")[0]["request_id"]
    other.clock.now -= timedelta(seconds=30)
    assert sent(served, click(request_id)).json() == sent(other, click(request_id)).json()
    (here,) = served.logged("events")
    there = other.logged("events")
    asked = served.logged("requests")[0]["ts"]
    assert {each["event_id"] for each in there} == {here["event_id"]}
    assert all(each["ts"] >= asked for each in there)


@given(st.lists(st.text(min_size=1), max_size=120, unique=True), st.binary(min_size=1))
def test_a_ticket_tells_when_and_what_was_shown_and_only_to_who_has_the_key(doc_ids, key):
    tickets, ts = Tickets(key), datetime(2026, 1, 5, 12, 0, 0, 123_456, tzinfo=UTC)
    (request_id,) = tickets.new(ts, [doc_ids])
    ticket = tickets.read(request_id)
    assert ticket.ts == ts and all(map(ticket.may_have_shown, doc_ids[:MOST]))
    assert Tickets(key + b"!").read(request_id) is None
    assert len({request_id, *tickets.new(ts, [doc_ids, doc_ids])}) == 3
    assert len(request_id) <= 512
    if not doc_ids:
        assert not ticket.may_have_shown("anything")


def test_events_on_hits_below_the_hundredth_are_refused():
    doc_ids = [f"doc-{number}" for number in range(1000)]
    (request_id,) = Tickets(b"key").new(datetime(2026, 1, 5, tzinfo=UTC), [doc_ids])
    shown = Tickets(b"key").read(request_id).may_have_shown
    assert all(map(shown, doc_ids[:100])) and sum(map(shown, doc_ids[100:])) < 10


def test_the_format_before_is_read_for_as_long_as_its_processes_answer_and_none_to_come(serve):
    served = serve()
    before = "AAZHosxrUkACxc-bwKdXdqhYe4Jx8x4JREgla8ci_ogXeHqZ9jc"  # first-7, at 2026-01-05 12:00
    (now,) = (each["request_id"] for each in served.search("word7"))
    assert base64.urlsafe_b64decode(now[:4])[0] == 1 and base64.b64decode(before[:4])[0] == 0
    assert sent(served, click(before), click(now)).json() == counts(2)
    stray = click(before, doc_id="elsewhere")
    assert sent(served, stray).status_code == 422
    as_one = base64.urlsafe_b64decode(before + "=" * (-len(before) % 4))
    for first in (1, 2, 255):
        other = base64.urlsafe_b64encode(bytes([first]) + as_one[1:]).decode().rstrip("=")
        assert sent(served, click(other)).status_code == 403
