"""Who is let in, how much at once, and by which sentence all others are refused."""

import json
import logging

import pytest

from perennial.errors import BadInput
from perennial.serving.http.hosts import Hosts
from perennial.serving.http.keys import AccessKeys, check_exposure
from perennial.serving.http.rates import Rates

FIRST, SECOND = "first-key-of-the-house", "second-key-of-the-house"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def locked(serve):
    return serve(keys=AccessKeys([FIRST, SECOND]))


@pytest.mark.parametrize("path", ["/search", "/events", "/releases", "/metrics", "/openapi.json"])
@pytest.mark.parametrize(
    "headers",
    [{}, bearer("wrong"), bearer(""), {"Authorization": FIRST}, bearer(FIRST + "x"),
     {"Authorization": f"Basic {FIRST}"}, {"Authorization": b"Bearer \xff\xfe"}],
)  # fmt: skip
def test_without_a_valid_key_nothing_is_told(locked, path, headers):
    method = "POST" if path in ("/search", "/events") else "GET"
    answer = locked.client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("key", [FIRST, SECOND])
def test_any_of_several_keys_lets_in(locked, key):
    answer = locked.client.post("/search", json={"query": "word7"}, headers=bearer(key))
    assert answer.status_code == 200


def test_a_probe_and_the_page_need_no_key(locked):
    for path in ("/healthz", "/readyz", "/", "/page.js", "/page.css"):
        assert locked.client.get(path).status_code == 200


def test_keys_stand_in_no_log_and_no_answer(locked, caplog):
    caplog.set_level(logging.DEBUG)
    said = ""
    for key in (FIRST, "wrong-key-of-a-stranger"):
        for body in ({"query": "word7"}, {"query": ""}, {"query": 7}):
            answer = locked.client.post("/search", json=body, headers=bearer(key))
            said += answer.text + str(answer.headers)
    said += locked.client.get("/metrics", headers=bearer(FIRST)).text
    said += caplog.text + repr(vars(AccessKeys([FIRST])))
    assert FIRST not in said and "wrong-key-of-a-stranger" not in said


def test_a_key_that_could_be_guessed_is_refused_without_being_told(serve):
    with pytest.raises(BadInput) as error:
        AccessKeys([FIRST, "short"])
    assert "short" not in str(error.value)


def test_beyond_loopback_both_keys_are_demanded():
    keys = AccessKeys([FIRST])
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        check_exposure(host, keys=AccessKeys([]), has_events_key=False)
    for host in ("0.0.0.0", "::", "10.0.0.1", "search.example"):
        with pytest.raises(BadInput, match="PERENNIAL_ACCESS_KEYS"):
            check_exposure(host, keys=AccessKeys([]), has_events_key=True)
        with pytest.raises(BadInput, match="PERENNIAL_EVENTS_KEY"):
            check_exposure(host, keys=keys, has_events_key=False)
        check_exposure(host, keys=keys, has_events_key=True)


def test_an_oversized_body_is_refused_whether_it_says_its_size_or_not(serve):
    client, large = serve(max_body_bytes=1000).client, b" " * 1001
    said = client.post("/search", content=large)
    unsaid = client.post("/search", content=iter([large[:600], large[600:]]))
    for answer in (said, unsaid):
        assert answer.status_code == 413
        assert "1000 bytes" in answer.json()["error"]
    json_type = {"content-type": "application/json"}
    small = iter([b'{"query"', b': "word7"}'])
    assert client.post("/search", content=small, headers=json_type).status_code == 200


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("{", "json"),
        ("[]", "body"),
        ("{}", "query"),
        ('{"query": ""}', "query"),
        ('{"query": " "}', "query 1 of 1 is empty"),
        ('{"query": "\\u200b\\ufeff\\u00ad"}', "query 1 of 1 is empty"),
        ('{"query": ["a", "\\u0000\\u2060"]}', "query 2 of 2 is empty"),
        ('{"query": []}', "query"),
        ('{"query": ["a", 1]}', "query"),
        ('{"query": "a", "k": 0}', "k"),
        ('{"query": "a", "k": 51}', "at most 50"),
        ('{"query": "a", "k": true}', "k"),
        ('{"query": "a", "k": 1e400}', "k"),
        ('{"query": "a", "what": 1}', "what"),
        ('{"query": "\\ud800"}', "hex escape"),
        ('{"query": "a", "session_id": ""}', "session_id"),
        ('{"query": "a", "arm": "both"}', "arm"),
        (json.dumps({"query": "a" * 201}), "201 characters"),
        (json.dumps({"query": ["a"] * 65}), "65 queries"),
        ("\x00\x01", "json"),
        ("[" * 5000, ""),
    ],
)
def test_a_malformed_body_is_refused_by_a_sentence(serve, body, word):
    json_type = {"content-type": "application/json"}
    answer = serve().client.post("/search", content=body.encode(), headers=json_type)
    assert answer.status_code in (400, 422), answer.text
    assert word in answer.json()["error"] and "Traceback" not in answer.text


def test_what_a_form_of_another_page_can_send_is_no_question(serve):
    body, client = b'{"query": "word7"}', serve().client
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.post("/search", content=body, headers={"content-type": kind})
        assert answer.status_code == 422 and "content-type" in answer.json()["error"]


def test_a_query_of_signs_alone_is_one(serve):
    for query in ("???", "\N{GRINNING FACE}", "::", "é"):
        assert serve().search(query) is not None


def test_a_name_that_somebody_else_points_here_is_refused_on_loopback(serve):
    client = serve(hosts=Hosts("127.0.0.1", ["search.example"])).client
    for good in ("localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "Search.Example:80"):
        assert client.get("/", headers={"host": good}).status_code == 200
    for path in ("/", "/search", "/healthz", "/metrics"):
        for bad in ("evil.example:8080", "localhost.evil.example", "10.0.0.1", "[::2]", ""):
            answer = client.get(path, headers={"host": bad})
            assert answer.status_code == 421
            assert "PERENNIAL_HOSTS" in answer.json()["error"]


def test_beyond_loopback_where_keys_are_asked_for_any_name_is_ours():
    assert Hosts("0.0.0.0").allow(b"anything") and Hosts("10.0.0.1").allow(None)
    probed = Hosts("0.0.0.0", ["search.example"])
    assert probed.allow(b"10.1.2.3:8080") and probed.allow(b"search.example:443")


@pytest.mark.parametrize("given", ["Search.Example:8080", "search.example", "[fe80::2]", "fe80::2"])
def test_a_name_may_be_given_with_its_port(given):
    hosts = Hosts("127.0.0.1", [given])
    asked = b"[fe80::2]:80" if "::" in given else b"search.example:8080"
    assert hosts.allow(asked) and not hosts.allow(b"evil.example")


def test_a_failure_of_our_own_is_a_sentence_too_and_its_words_stay_inside(serve, caplog):
    served = serve()

    def broken(arm, *, asked):
        raise RuntimeError("a secret of the inside")

    served.searcher._follower.serving.stable.encoder.__dict__["encode"] = broken
    answer = served.client.post("/search", json={"query": "word7"})
    assert answer.status_code == 500
    assert "secret" not in answer.text and set(answer.json()) == {"error"}
    assert "a secret of the inside" in caplog.text or "broken" in caplog.text


def test_who_asks_too_fast_is_told_when_to_come_again(serve):
    client = serve(rate_per_second=1.0, rate_burst=3, clock=lambda: 0.0).client
    statuses = [client.post("/search", json={"query": "a"}).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    answer = client.post("/search", json={"query": ["a"] * 2})
    assert answer.headers["retry-after"] == "3"


def test_a_bucket_fills_at_its_rate_and_one_asker_costs_no_other():
    now = [0.0]
    rates = Rates(per_second=10, burst=20, clock=lambda: now[0])
    assert rates.wait_seconds("ann", 20) == 0
    assert rates.wait_seconds("ann", 5) == pytest.approx(0.5)
    assert rates.wait_seconds("bob", 20) == 0
    now[0] = 0.5
    assert rates.wait_seconds("ann", 5) == 0
    now[0] = 100.0
    assert rates.wait_seconds("ann", 50) == 0  # more than a bucket, when it is full
    assert rates.wait_seconds("ann", 1) == pytest.approx(3.1)
