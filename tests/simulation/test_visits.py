"""Simulated people at a real service: what they were shown and did is what its log says."""

import socket

import pandas as pd
import pytest
from service_process import service, terminate
from tiny_release import NOON, publish_folders, write_folders

from perennial.data.sources.days import part_files
from perennial.errors import BadInput
from perennial.release.publishing.publish import promote
from perennial.release.stores.local import LocalStore
from perennial.simulation.public import Habits
from perennial.simulation.visits import visit

HABITS = Habits(
    position_decay=0.5,
    click_if_relevant=1.0,
    click_if_not=0.0,
    stop_after_click=0.6,
    abandon=0.05,
    max_requests=3,
    explore=0.0,
)
SESSIONS = 40


def people(port, truth, **changes):
    options = {"sessions": SESSIONS, "results": 3, "habits": HABITS, "seed": 1, "workers": 4}
    return visit(f"http://127.0.0.1:{port}", truth, tag="v", **options | changes)


@pytest.mark.slow
def test_what_people_did_at_a_service_is_in_its_log(tmp_path):
    store = LocalStore(tmp_path / "store")
    serving = publish_folders(store, write_folders(tmp_path / "made", lineage=1, tag="first"))
    promote(store, "production", serving.release_id, now=NOON, why="first", who="test")
    with service(tmp_path) as (process, port):
        answers = pd.DataFrame({"query": ["word3", "word5"], "doc_id": ["none-3", "?"], "grade": 1})
        nobody = people(port, answers)  # nothing that is shown is wanted
        shown = logged(tmp_path, process, "impressions")
    assert (nobody.clicks, nobody.failed) == (0, 0)
    best = shown[shown["rank"] == 1].groupby("request_id")["doc_id"].first().unique()
    with service(tmp_path) as (process, port):
        wanted = {name.rpartition("-")[2]: name for name in best}
        rows = [(f"word{number}", name, 1) for number, name in wanted.items()]
        found = people(port, pd.DataFrame(rows, columns=["query", "doc_id", "grade"]))
        requests = logged(tmp_path, process, "requests").iloc[sum(nobody.requests.values()) :]
        events = logged(tmp_path, None, "events")
    assert found.failed == 0 and found.sessions == SESSIONS
    assert found.requests == {"stable": len(requests)}
    assert requests["session_id"].nunique() == SESSIONS
    assert set(requests["release_id"]) == {serving.release_id}
    clicks = events[events["type"] == "click"]
    assert found.clicks == len(clicks) > SESSIONS / 2  # the best is looked at always
    assert set(clicks["doc_id"]) <= set(wanted.values())
    assert set(clicks["request_id"]) <= set(requests["request_id"])
    dwells = events[events["type"] == "dwell"]
    assert len(dwells) == len(clicks) and (dwells["value"] >= 40).all()


def test_where_no_service_is_the_sentence_says_how_to_start_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    truth = pd.DataFrame({"query": ["a"], "doc_id": ["d"], "grade": [1]})
    with pytest.raises(
        BadInput, match=r"no search service is ready .* start one with `perennial s"
    ):
        people(port, truth)
    with pytest.raises(BadInput, match="ftp://x is no address of a service"):
        visit("ftp://x", truth, sessions=1, results=1, habits=HABITS, seed=1, tag="v", workers=1)
    with pytest.raises(BadInput, match="nobody can be simulated"):
        people(port, truth.assign(grade=0))


def logged(home, process, table):
    """The table as a snapshot would read it; the service is ended first, where one is given."""
    if process is not None:
        terminate(process)
    files = part_files(home / "source" / table)
    rows = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    return rows.sort_values("ts", ignore_index=True) if "ts" in rows else rows
