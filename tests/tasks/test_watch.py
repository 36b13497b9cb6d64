"""The event of a watch's verdict, which an Automation hears, and the page, which a person does."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from perennial.quality.decision import Decision, Evidence
from perennial.verbs.watching.watch import Look
from tasks.watch import call, event_of, tell


def seen(outcome):
    evidence = (
        Evidence("novel queries, 2 h", 0.2, None, None, 500, 0.05, False),
        Evidence("click success, 2 h", 0.0, None, None, 500, 0.05, True),
    )
    decision = Decision(outcome, ("What people ask changed.", "12 % are new."), evidence)
    at = "2026-02-02T12:00:00Z"
    return Look("production", "rel-000000000000", at, at, decision)


def test_a_verdict_is_an_event_about_its_channel():
    event = event_of(seen("retrain"))
    assert event["event"] == "perennial.watch.retrain"
    assert event["resource"] == {
        "prefect.resource.id": "perennial.channel.production",
        "perennial.channel": "production",
    }
    assert event["payload"]["reason"] == "What people ask changed. 12 % are new."
    assert [each["name"] for each in event["payload"]["evidence"]] == ["novel queries, 2 h"]


def test_the_same_look_has_the_same_key_and_another_verdict_another():
    keys = [event_of(seen(outcome))["payload"]["key"] for outcome in ("page", "page", "reindex")]
    assert keys[0] == keys[1] != keys[2]


def test_nothing_to_do_is_no_event():
    assert event_of(seen("none")) is None
    assert tell(seen("none"), "page", say=print)


@contextmanager
def listening(status):
    """An address that takes notifications, or does not, and what it was told."""
    told = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", told
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("outcome", "last", "times"),
    [("page", "none", 1), ("page", "page", 0), ("retrain", "page", 0), ("none", "page", 0)],
)
def test_a_page_is_told_to_a_person_when_it_is_new(monkeypatch, outcome, last, times):
    with listening(204) as (url, told):
        monkeypatch.setenv("PERENNIAL_NOTIFY_URL", url)
        assert call(seen(outcome), last, say=print)
    assert len(told) == times
    assert all("watch of production: What people ask changed." in each["text"] for each in told)


def test_a_page_that_nobody_took_was_not_heard(monkeypatch):
    said = []
    assert call(seen("page"), "none", say=said.append), "nobody asked to be told"
    with listening(500) as (url, told):
        monkeypatch.setenv("PERENNIAL_NOTIFY_URL", url)
        assert not call(seen("page"), "none", say=said.append)
    assert len(told) == 1
    assert "next look" in said[0] and url not in said[0]
