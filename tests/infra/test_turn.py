"""All of it as real processes, from a drift's webhook to a swapped release; and what it takes to
stop that: nothing that one SIGKILL can do."""

import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from mlflow import MlflowClient
from small import LENIENT, write_params

from infra.gameday.people import Asked, asking
from infra.gameday.town import ENDED, Town, wait_until
from infra.up.__main__ import postgres_programs
from infra.up.process import answers
from infra.up.processes import is_postgres_ready
from perennial.errors import PlaceUnusable
from tasks.registry import MODEL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
SHIFT = 11_000
WAITING = {"SCHEDULED", "PENDING"}
SECTIONS = {"snapshot": {"window_days": 3650}, "watch": {"min_queries": 10}}


@pytest.fixture
def town() -> Iterator[Town]:
    """`make up`, which must end well."""
    try:
        postgres_programs()
    except PlaceUnusable as why_not:
        pytest.skip(str(why_not))
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)  # PostgreSQL runs as a user of its own, and must reach its folder
    made = Town(folder, shift=SHIFT)
    try:
        made.start()
        yield made
    finally:
        code = made.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert code == 0


def settle(town: Town, world) -> list[str]:
    """A small company with a first champion that serves; what people there ask."""
    world.write_source(town.home / "source")
    write_params(town.home / "params.yaml", LENIENT, SECTIONS)
    said = town.command("perennial.cli", "bootstrap", cwd=town.home)
    assert said.returncode == 0, said.stderr
    for name in ("retrain", "reindex", "watch", "rollout", "sweep"):
        there = town.deployment(name)
        given = {**there["parameters"], "params": str(town.home / "params.yaml")}
        town.prefect(f"/deployments/{there['id']}", {"parameters": given}, method="PATCH")
        for each in there["schedules"]:  # nothing in between
            path = f"/deployments/{there['id']}/schedules/{each['id']}"
            town.prefect(path, {"active": False}, method="PATCH")
    queries = [*world.frame("judgements")["query"][:20]]
    wait_until(lambda: bool(town.search(queries[0])["results"]), seconds=120, what="an answer")
    return queries


def turn(town: Town, reason: str) -> str:
    """A drift is told by a webhook: the id of the run that it started."""
    code, said = town.deliver("retrain", reason=reason)
    assert code == 202, said
    (started,) = town.runs_of("retrain")
    assert started["parameters"]["trigger"]["reason"] == reason
    return str(started["id"])


def another_turn(town: Town) -> str:
    """The next one is started by hand: the receiver cools down for a day. Returns when it runs."""
    run = town.begin("retrain")
    wait_until(lambda: town.state(run) == "RUNNING", seconds=120, what="the run to begin")
    return run


def is_well(town: Town, name: str) -> bool:
    """Whether a process can be used (again)."""
    ports = town.ports
    if name == "postgres":
        return is_postgres_ready(ports.postgres)
    if name == "trainer":
        return bool(town.processes_of(name))
    places = {
        "seaweedfs": f"{ports.s3}/healthz",
        "prefect": f"{ports.prefect}/api/health",
        "mlflow": f"{ports.mlflow}/health",
        "search": f"{ports.search}/readyz",
        "receiver": f"{ports.receiver}/healthz",
    }
    return answers(f"http://127.0.0.1:{places[name]}")()


def kill_and_wait(town: Town, name: str) -> None:
    """In the middle of a turn; back without anybody's help."""
    wait_until(lambda: is_well(town, name), seconds=60, what=f"{name} to be well")
    before = town.pid(name)
    town.kill(name)
    wait_until(lambda: town.pid(name) != before, seconds=60, what=f"{name} to be started again")
    wait_until(lambda: is_well(town, name), seconds=120, what=f"{name} to be well again")


def follower(town: Town, run: str) -> str:
    """The run that continues one that died: a rollout starts it, as it looks every five minutes."""
    wait_until(lambda: town.state(run) == "CRASHED", seconds=200, what="the run's death")
    town.begin("rollout")
    wait_until(lambda: since(town, run) != [run], seconds=200, what="who continues it")
    again = since(town, run)[1]
    wait_until(lambda: town.state(again) not in WAITING, seconds=200, what="it to begin")
    return again


def finish(town: Town, run: str) -> None:
    """The run ends well; or dies of what was killed, and then who continues it does."""
    wait_until(lambda: town.state(run) in ENDED, seconds=900, what="the run to end")
    if town.state(run) == "CRASHED":
        run = follower(town, run)
        wait_until(lambda: town.state(run) in ENDED, seconds=600, what="the turn to end")
    assert town.state(run) == "COMPLETED"


def since(town: Town, run: str) -> list[str]:
    """It and the retrains after it."""
    runs = [each["id"] for each in town.runs_of("retrain")]
    return runs[runs.index(run) :]


def test_a_drift_becomes_a_release_that_serves_whoever_is_killed_on_the_way(town, make_world):
    queries = settle(town, make_world(documents=150, queries=100, requests=600))
    with asking(town, queries) as asked:
        run = turn(town, "recall fell below its bound")
        wait_until(lambda: town.state(run) == "RUNNING", seconds=120, what="the run to begin")
        for name in ("receiver", "mlflow", "search", "prefect", "trainer"):
            kill_and_wait(town, name)
        finish(town, run)
        wait_until(lambda: len(asked.releases()) == 2, seconds=60, what="the next release")

        began = time.monotonic()
        run = another_turn(town)
        town.kill_flow(run)
        again = follower(town, run)
        for name in ("postgres", "seaweedfs"):
            kill_and_wait(town, name)
        finish(town, again)
        wait_until(lambda: len(asked.releases()) == 3, seconds=60, what="the last release")
        assert asked.since(began).failed == [], "nobody notices a database, a store or a flow die"
    ended = town.pid("search")
    os.killpg(ended, signal.SIGTERM)  # what it holds comes into the log
    wait_until(lambda: town.pid("search") != ended, seconds=120, what="another service")
    check_that_nothing_is_lost_or_twice(town, asked)


def check_that_nothing_is_lost_or_twice(town: Town, asked: Asked) -> None:
    said = town.command("perennial.cli", "verify", cwd=town.home)
    assert said.returncode == 0, said.stderr
    shown = json.loads(town.command("perennial.cli", "status", "--json", cwd=town.home).stdout)
    moves = [move["to"] for move in shown["channel"]["history"]]
    assert moves == asked.releases() and shown["pending"] == []
    assert len(list((town.home / "runs").glob("[!.]*/params.yaml"))) == 2  # none was begun anew
    client = MlflowClient(town.environment["MLFLOW_TRACKING_URI"])
    versions = client.search_model_versions(f"name = '{MODEL}'")
    assert sorted(each.tags["release_id"] for each in versions) == sorted(moves[1:])
    log = ds.dataset(town.home / "source" / "requests").to_table(columns=["request_id"])
    logged = Counter(log["request_id"].to_pylist())
    assert max(logged.values()) == 1
    lost = [name for name, _, _ in asked.answered if name not in logged]
    assert len(lost) <= 2  # of ten a second: what a SIGKILL may take of a service's log
