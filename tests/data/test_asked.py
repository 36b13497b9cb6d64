"""What shadow takes of a log: a fair sample of its queries, and pages with propensities."""

import numpy as np
import pandas as pd
import pytest
from explored_worlds import log, make_world

from perennial.data.asked import STRATA, sample_asked
from perennial.data.explored import read_explored
from perennial.data.tables import write_table

WHEN = pd.Timestamp("2026-01-05", tz="UTC")


def write_requests(path, queries, **columns):
    count = len(queries)
    given = {
        "request_id": [f"r{i:05d}" for i in range(count)], "session_id": "s", "ts": WHEN,
        "query": queries, "channel": "production", "arm": "stable", "release_id": "a",
        "n_results": 10, "latency_ms": 1.0, "explored": False,
    }  # fmt: skip
    write_table(pd.DataFrame(given | columns), path, table="requests")
    return path


def test_each_stratum_is_asked_in_proportion_to_its_requests(tmp_path):
    often, some = ["often"] * 500, [f"some {i // 5}" for i in range(300)]
    once = [f"once {i}" for i in range(200)]
    path = write_requests(tmp_path / "requests.parquet", [*often, *some, *once, "  "])
    asked = sample_asked(path, most=100, seed=1)
    strata = [item.stratum for item in asked]
    assert [strata.count(number) for number in range(len(STRATA))] == [20, 30, 50]
    assert {item.query.split()[0] for item in asked if item.stratum == 2} == {"often"}
    assert asked == sample_asked(path, most=100, seed=1) != sample_asked(path, most=100, seed=2)
    assert sorted(strata[:50]) != strata[:50], "strata take turns"


def test_no_more_is_asked_than_there_is(tmp_path):
    path = write_requests(tmp_path / "requests.parquet", ["a", "b", "b"])
    assert len(sample_asked(path, most=500, seed=1)) == 3
    assert len(sample_asked(path, most=1, seed=1)) == 1
    assert sample_asked(write_requests(tmp_path / "none.parquet", []), most=5, seed=1) == []


@pytest.fixture
def logged(tmp_path):
    """A world's log as files, and as it was made."""
    found = log(make_world(), pages=200, explore=0.3, generator=np.random.default_rng(3))
    count = len(found["query"])
    write_requests(
        tmp_path / "requests.parquet", [f"q{q:02d}" for q in found["query"]],
        session_id=[f"s{s:04d}" for s in found["session"]], explored=found["is_explored"],
    )  # fmt: skip
    page, rank = np.divmod(np.arange(count * 10), 10)
    impressions = pd.DataFrame(
        {"request_id": [f"r{i:05d}" for i in page],
         "doc_id": [f"d{d}" for d in found["shown"].ravel()], "rank": rank + 1, "score": 1.0,
         "release_id": "a", "team": None, "propensity": found["propensity"].ravel()}
    )  # fmt: skip
    row, column = np.nonzero(found["clicked"])
    events = pd.DataFrame(
        {"event_id": [f"e{i}" for i in range(len(row))], "request_id": [f"r{i:05d}" for i in row],
         "doc_id": [f"d{d}" for d in found["shown"][row, column]], "type": "click",
         "value": None, "ts": WHEN}
    )  # fmt: skip
    twice = pd.concat([events, events.assign(event_id=events["event_id"] + "x", type="dwell")])
    write_table(twice, tmp_path / "events.parquet", table="events")
    return found, impressions, tmp_path


def read(folder, impressions, **changes):
    write_table(impressions, folder / "impressions.parquet", table="impressions")
    files = {name: folder / f"{name}.parquet" for name in ("requests", "impressions", "events")}
    return read_explored(**files, **{"most": 1000, "k": 10, "seed": 1} | changes)


def test_pages_come_back_as_they_were_logged(logged):
    made, impressions, folder = logged
    found = read(folder, impressions)
    assert [found.queries[q] for q in found.query] == [f"q{q:02d}" for q in made["query"]]
    assert (found.session == made["session"]).all()
    assert (found.is_explored == made["is_explored"]).all()
    assert (found.shown == np.char.add("d", made["shown"].astype(str))).all()
    assert np.allclose(found.propensity, made["propensity"])
    assert (found.clicked == made["clicked"]).all()
    assert read(folder, impressions, k=4).clicked.tolist() == made["clicked"][:, :4].tolist()
    some = read(folder, impressions, most=50)
    assert len(some.query) == 50 == some.shown.shape[0]


def test_pages_that_tell_nothing_sure_are_left_out(logged):
    _, impressions, folder = logged
    of = {number: impressions["request_id"] == f"r{number:05d}" for number in range(5)}
    rank = impressions["rank"]
    unknown = impressions["propensity"].mask(of[0] & (rank == 3))
    never = unknown.mask(of[1] & (rank == 3), 0.0)
    doc_ids = impressions["doc_id"].mask(of[2] & (rank == 3), impressions["doc_id"].shift(1))
    changed = impressions.assign(propensity=never, doc_id=doc_ids)
    gap, short = of[3] & (rank == 3), of[4] & (rank > 3)
    found = read(folder, changed[~gap & ~short])
    assert len(found.query) == 196, "the short page stays"
    assert (found.shown[0] != None).tolist() == [True] * 3 + [False] * 7  # noqa: E711
    assert found.propensity[0, 3:].tolist() == [1.0] * 7


def test_an_empty_log_is_no_pages(logged):
    _, impressions, folder = logged
    found = read(folder, impressions[:0])
    assert found.queries == [] and found.shown.shape == (0, 10)
