"""From what people ask to the event of a verdict: a new topic in a small company's live log."""

import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import write_params

from perennial.data.schema import REQUESTS
from perennial.release.accepted import accept
from perennial.release.manifests.canonical import parse_utc
from perennial.release.stores.local import LocalStore
from perennial.release.watched import read_watched
from perennial.verbs.watching.watch import look
from tasks.watch import event_of

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
SINCE = MONDAY + timedelta(days=16, hours=9)  # a Wednesday morning
HOURLY = 120
NEW = ["kubernetes ingress", "helm chart values", "pod eviction", "taint toleration"]
FEW = {"alpha": 0.01, "sentinels": 0, "spans": [2]}  # of permutations


def write_log(source, titles, *, until, topic_from):
    """People who ask for titles at any hour; from one on, a third asks for something new."""
    days = (until - MONDAY).days + 1
    for day in range(days):
        begin, rows = MONDAY + timedelta(days=day), []
        path = source / "requests" / f"date={begin.date()}" / "serve-7-00c0ffee-00001.parquet"
        if path.exists() and day < days - 2:
            continue
        generator = np.random.default_rng([4, day])
        for number in range(24 * HOURLY):
            moment = begin + timedelta(hours=number / HOURLY)
            words = NEW if moment >= topic_from and generator.random() < 1 / 3 else titles
            query = words[generator.integers(len(words))]
            if moment < until:  # the same people at every look
                name = f"{day}-{number}"
                rows.append({
                    "request_id": f"q{name}", "session_id": f"s{name}", "ts": moment,
                    "query": query, "channel": "production", "arm": "stable",
                    "release_id": "rel-000000000000", "n_results": 3, "latency_ms": 1.0,
                    "explored": False,
                })  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=REQUESTS), path)


@pytest.fixture
def world(company, tmp_path):
    """`at(hours)`: the look so many hours after the topic began; the store."""
    for name in ("source", "store"):
        shutil.copytree(company / name, tmp_path / name)
    source = tmp_path / "source"
    for name in ("requests", "impressions", "events"):
        shutil.rmtree(source / name, ignore_errors=True)
    titles = pq.read_table(source / "catalogue.parquet")["title"].to_pylist()[:100]
    params = write_params(tmp_path / "params.yaml", {"watch": FEW})
    store = LocalStore(tmp_path / "store")

    def at(hours):
        now = SINCE + timedelta(hours=hours, minutes=35)
        write_log(source, titles, until=now, topic_from=SINCE)
        return look(
            store, "production", source=source, cache=tmp_path / "cache", params=params, now=now,
            key=None,
        )  # fmt: skip

    return at, store


@pytest.mark.slow
def test_a_new_topic_asks_for_a_retrain_once_until_one_took_it(world):
    at, store = world
    assert at(0).decision.outcome == "none"
    found = at(3)
    event = event_of(found)
    assert event["event"] == "perennial.watch.retrain"
    assert event["payload"]["reason"].startswith("What people ask or click")
    told = {each["name"] for each in event["payload"]["evidence"]}
    assert {"novel queries, 2 h", "unseen words, 2 h"} <= told
    assert not any(word in str(event) for word in NEW), "no word of any query leaves"
    asked = read_watched(store, "production")[0].asked
    assert asked.log_end == found.log_end and "unseen words" in asked.effects

    soon = at(5)  # it has its time
    assert event_of(soon) is None, soon.decision.reasons
    assert "A retrain answers this drift" in " ".join(soon.decision.reasons)
    missed = at(30)  # nobody came
    assert missed.decision.outcome == "retrain"
    assert event_of(missed)["payload"]["key"] != event["payload"]["key"]

    end = parse_utc(missed.log_end)
    about = {"snapshot": "sha256:" + "1" * 64, "profile": {}, "log": "sha256:" + "2" * 64}
    assert accept(store, "production", **about, end=end, before=None)
    for hours in (58, 80):  # a retrain took it, whatever its gate said
        later = at(hours)
        assert later.decision.outcome == "none", later.decision.reasons
