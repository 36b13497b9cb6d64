"""What is asked and answered over HTTP, and what of it stands in the log."""

import time
from collections import deque
from datetime import timedelta

import pyarrow.parquet as pq

from perennial.data.sources.days import part_files
from perennial.serving.routing import arm_of


def test_an_answer_names_its_release_and_arm_and_what_was_found(serve, store):
    (result,) = serve().search("word7", k=3)
    assert result["release_id"] == store.read_channel("production").stable
    assert result["arm"] == "stable"
    assert [hit["rank"] for hit in result["hits"]] == [1, 2, 3]
    assert result["hits"][0]["doc_id"] == "first-7"


def test_many_queries_are_answered_in_order_each_with_its_own_request(serve):
    results = serve().search([f"word{i}" for i in range(40)], k=1)
    assert [each["hits"][0]["doc_id"] for each in results] == [f"first-{i}" for i in range(40)]
    assert len({each["request_id"] for each in results}) == 40


def test_the_log_is_what_was_answered(serve):
    served = serve()
    results = served.search(["word1", "word2"], k=4, session_id="ann")
    more = served.search("nothingthatisknown", session_id="bob")
    requests = served.logged("requests")
    impressions = [
        {key: row[key] for key in ("request_id", "doc_id", "rank", "release_id", "propensity")}
        for row in served.logged("impressions")
    ]
    assert [(r["session_id"], r["query"], r["n_results"]) for r in requests] == [
        ("ann", "word1", 4), ("ann", "word2", 4), ("bob", "nothingthatisknown", 0),
    ]  # fmt: skip
    assert [r["request_id"] for r in requests] == [r["request_id"] for r in results + more]
    assert all(r["latency_ms"] > 0 and not r["explored"] for r in requests)
    assert impressions == [
        {
            "request_id": result["request_id"],
            "doc_id": hit["doc_id"],
            "rank": hit["rank"],
            "release_id": result["release_id"],
            "propensity": 1.0,
        }
        for result in results
        for hit in result["hits"]
    ]


def test_what_is_explored_is_shown_and_logged_swapped(serve):
    served = serve(explore=1.0)
    plain = [hit["doc_id"] for hit in served.search("word3", k=5, arm="stable")[0]["hits"]]
    shown = [hit["doc_id"] for hit in served.search("word3", k=5)[0]["hits"]]
    swapped = [i for i in range(5) if shown[i] != plain[i]]
    assert len(swapped) == 2 and sorted(shown) == sorted(plain)
    (request,) = served.logged("requests")
    assert request["explored"]
    rows = served.logged("impressions")
    assert [row["doc_id"] for row in rows] == shown
    assert [rows[i]["propensity"] for i in swapped] == [0.25, 0.25]


def test_whoever_names_an_arm_is_not_in_the_log(serve):
    served = serve()
    assert served.search("word3", arm="candidate")[0]["request_id"] is None
    assert served.logged("requests") == []


def test_a_session_stays_on_the_arm_that_its_salt_says(serve, roll_out, newer):
    served = serve()
    roll_out(newer, share=0.5)
    served.searcher.refresh()
    sessions = [f"session {i}" for i in range(40)]
    arms = [served.search("word7", k=1, session_id=each)[0] for each in sessions]
    wanted = [arm_of(each, salt="salt", share=0.5) for each in sessions]
    assert [each["arm"] for each in arms] == wanted
    assert {"stable", "candidate"} == set(wanted)
    tags = {"stable": "first-7", "candidate": "retrained-7"}
    assert [each["hits"][0]["doc_id"] for each in arms] == [tags[arm] for arm in wanted]
    assert [row["arm"] for row in served.logged("requests")] == wanted


def test_past_the_deadline_everybody_is_on_stable_though_nobody_says_so(serve, roll_out, newer):
    served = serve()
    roll_out(newer, deadline="2026-01-05T13:00:00Z")
    served.searcher.refresh()
    assert served.search("word7")[0]["arm"] == "candidate"
    served.clock.now += timedelta(hours=1)
    assert served.search("word7")[0]["release_id"] != newer
    told = served.client.get("/releases").json()
    assert told["candidate"]["share"] == 1.0 and told["candidate"]["live_share"] == 0.0


def test_a_shadow_is_shown_to_nobody(serve, roll_out, newer):
    served = serve()
    roll_out(newer, stage="shadow")
    served.searcher.refresh()
    assert served.search("word7")[0]["arm"] == "stable"


def test_a_shadow_answers_the_same_queries_behind_everybodys_back(serve, roll_out, newer):
    served = serve(explore=1.0)
    roll_out(newer, stage="shadow")
    served.searcher.refresh()
    for number in range(3):
        served.search(f"word{number}", k=3)
    served.search("word9", k=3, arm="candidate")
    time.sleep(0.3)  # it rests between two queries
    asked = {row["request_id"] for row in served.logged("requests")}
    files = part_files(served.source / "mirrored")
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    assert rows and {row["request_id"] for row in rows} <= asked
    for row in rows:
        assert row["candidate"] == newer
        # Stable's own ranking, not the swapped one that was shown.
        assert row["stable_docs"][0].replace("first", "retrained") == row["candidate_docs"][0]


def test_both_releases_share_an_interleaved_list_and_each_hit_names_its_own(
    serve, roll_out, newer, store
):
    served = serve(explore=1.0)
    stable = store.read_channel("production").stable
    roll_out(newer, stage="interleave")
    served.searcher.refresh()
    (result,) = served.search("word7", k=10)
    assert result["arm"] == "interleaved"
    of = {"first": stable, "retrained": newer}
    assert all(hit["release_id"] == of[hit["doc_id"].split("-")[0]] for hit in result["hits"])
    rows = served.logged("impressions")
    assert [row["doc_id"] for row in rows] == [hit["doc_id"] for hit in result["hits"]]
    teams = {stable: "stable", newer: "candidate"}
    assert [row["team"] for row in rows] == [teams[row["release_id"]] for row in rows]
    assert sorted(row["team"] for row in rows) == ["candidate"] * 5 + ["stable"] * 5
    (request,) = served.logged("requests")
    assert request["arm"] == "interleaved" and not request["explored"]


def test_a_candidate_that_cannot_be_loaded_costs_no_answer_and_shows_in_the_log(
    serve, roll_out, store
):
    served = serve()
    roll_out("rel-000000000000")
    served.searcher.refresh()
    (result,) = served.search("word7", k=1)
    assert result["hits"][0]["doc_id"] == "first-7"
    counted = 'perennial_errors_total{channel="production",status="candidate"} 1.0'
    assert counted in served.client.get("/metrics").text
    (request,) = served.logged("requests")
    assert request["arm"] == "candidate"
    assert request["release_id"] == store.read_channel("production").stable


def test_a_candidate_that_raises_costs_no_answer_either(serve, roll_out, newer, store):
    served = serve()
    roll_out(newer)
    served.searcher.refresh()
    served.searcher.serving.candidate.encoder.__dict__["encode"] = None
    (result,) = served.search("word7", k=1)
    assert result["arm"] == "candidate" and result["hits"][0]["doc_id"] == "first-7"
    assert result["release_id"] == store.read_channel("production").stable


def test_a_candidate_that_is_promoted_meanwhile_has_not_failed(serve, roll_out, newer, swap):
    served = serve()
    roll_out(newer)
    served.searcher.refresh()

    class Promoting(deque):
        """Is told of the query between the choice of its arm and its answer."""

        def extend(self, asked):
            swap(newer)
            served.searcher.refresh()

    served.searcher._asked = Promoting()
    (result,) = served.search("word7", k=1)
    assert (result["release_id"], result["hits"][0]["doc_id"]) == (newer, "retrained-7")
    assert 'status="candidate"' not in served.client.get("/metrics").text


def test_metrics_tell_releases_steps_empty_answers_and_errors_apart(serve, store):
    served = serve()
    served.search(["word7", "nothingthatisknown"])
    served.client.post("/search", json={"query": ""})
    text = served.client.get("/metrics").text
    names = f'channel="production",release="{store.read_channel("production").stable}"'
    for step in ("encode", "search", "total"):
        assert f'perennial_search_seconds_count{{{names},step="{step}"}} 1.0' in text
    assert f"perennial_queries_total{{{names}}} 2.0" in text
    assert f"perennial_zero_results_total{{{names}}} 1.0" in text
    assert 'perennial_errors_total{channel="production",status="422"} 1.0' in text
    assert 'perennial_freshness_seconds{arm="stable"' in text
    assert 'perennial_release_age_seconds{arm="stable"' in text


def test_it_is_alive_and_ready_until_it_drains(serve):
    served = serve()
    assert served.client.get("/healthz").json() == {"status": "ok"}
    assert served.client.get("/readyz").status_code == 200
    served.client.app.state.draining = True
    assert served.client.get("/readyz").status_code == 503


def test_spans_follow_the_callers_trace(serve, monkeypatch):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from perennial.serving.http.tracing import Spans

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert Spans.from_environment({}) is None
    monkeypatch.setattr(Spans, "from_environment", lambda _: Spans(provider))
    served = serve()
    trace = "0af7651916cd43dd8448eb211c80319c"
    header = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    served.client.post("/search", json={"query": "word7"}, headers=header)
    spans = exporter.get_finished_spans()
    assert {each.name for each in spans} == {"search", "find", "encode"}
    assert all(f"{each.context.trace_id:032x}" == trace for each in spans)
    assert not any("word7" in str(each.attributes) for each in spans)
