"""Events: only for answers of ours, each once."""

import pytest


def sent(served, *events):
    return served.client.post("/events", json={"events": list(events)})


def click(request_id, **more):
    return {"request_id": request_id, "doc_id": "first-7", "type": "click"} | more


def test_events_of_an_answer_stand_in_the_log(serve):
    served = serve()
    request_id = served.search("word7")[0]["request_id"]
    dwell = click(request_id, type="dwell", value=12.5)
    assert sent(served, click(request_id), dwell).json() == {"taken": 2, "repeated": 0}
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
    assert sent(served, event, other).json() == {"taken": 1, "repeated": 1}
    assert len(served.logged("events")) == 2


@pytest.mark.parametrize(
    "forge",
    [
        lambda real: "made-up",
        lambda real: real[:-1] + ("0" if real[-1] != "0" else "1"),
        lambda real: ("0" if real[0] != "0" else "1") + real[1:],
        lambda real: real.partition("-")[0] + "-",
        lambda real: "é-" + real,
    ],
)
def test_an_event_of_no_answer_of_ours_is_refused_with_all_that_came_with_it(serve, forge):
    served = serve()
    real = served.search("word7")[0]["request_id"]
    answer = sent(served, click(real), click(forge(real)))
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("event 2 of 2 names a request_id")
    assert served.logged("events") == []


def test_a_request_of_another_key_is_none_of_ours(serve):
    foreign = serve(events_key=b"another key").search("word7")[0]["request_id"]
    assert sent(serve(), click(foreign)).status_code == 403


@pytest.mark.parametrize("value", [-1, 1e10, "NaN", "long"])
def test_a_value_that_is_no_span_of_time_is_refused(serve, value):
    assert sent(serve(), click("x", type="dwell", value=value)).status_code == 422
