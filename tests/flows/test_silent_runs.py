"""Runs whose process is gone: they are called dead, and a retrain is started again, or left."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from flows.deploy import main, pools_of

from .conftest import CHECKOUT, ask, python, wait_for

pytestmark = pytest.mark.slow
PREFECT_FILE = CHECKOUT / "infra" / "prefect.yaml"
LOOKS = """
import tasks
import json, sys
from datetime import UTC, datetime, timedelta
from prefect.client.orchestration import get_client
from flows.rollout import rollout
from tasks.dead import look_after_dead_runs, retrain_to_continue, silent_runs

for line in sys.stdin:
    what, own, now = json.loads(line)
    found = None
    with get_client(sync_client=True) as client:
        own, now = client.read_flow_run(own), datetime.fromisoformat(now)
        if what == "silent":
            soon = {"again_seconds": 1.0, "silent": timedelta(seconds=8)}
            found = [run.name for run in silent_runs(client, but=own, now=lambda: now, **soon)]
        elif what == "continue":
            found = retrain_to_continue(client, now=datetime.now(UTC))
            found = found and found.name
    if what == "hook":
        look_after_dead_runs(rollout, own, None)
    print("found " + json.dumps(found), flush=True)
"""


@contextmanager
def looking(environment: Mapping[str, str]) -> Iterator[Callable[..., Any]]:
    """Who looks, in a process of its own: asked for a kind of look, it says what it found."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOOKS],
        cwd=CHECKOUT,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def look(*asked: str) -> Any:
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        said = next((line for line in process.stdout if line.startswith("found ")), None)
        assert said, f"who looks has ended, see its stderr: {asked}"
        return json.loads(said.removeprefix("found "))

    try:
        yield look
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def deployed(prefect_server) -> Iterator[Mapping[str, str]]:
    """All deployments; gone with the test, since others use the same server."""
    said = python(prefect_server, "-m", "flows.deploy")
    assert "rollout/rollout" in said
    try:
        yield prefect_server
    finally:
        for each in ask(prefect_server, "/deployments/filter", {}):
            ask(prefect_server, f"/deployments/{each['id']}", method="DELETE")


@pytest.fixture
def look(deployed) -> Iterator[Callable[..., Any]]:
    with looking(deployed) as asked:
        yield asked


def test_a_silent_run_is_called_dead_and_a_retrain_goes_on_at_most_twice(deployed, look):
    pools = {each["name"] for each in ask(deployed, "/work_pools/filter", {})}
    assert pools >= {*pools_of(PREFECT_FILE)}
    there = ask(deployed, "/deployments/name/retrain/retrain")

    def begun(**asked: Any) -> dict[str, Any]:
        run = ask(deployed, f"/deployments/{there['id']}/create_flow_run", {"parameters": asked})
        put(run, "RUNNING")
        return dict(run)

    def put(run: Mapping[str, Any], state: str) -> None:
        body = {"state": {"type": state, "name": state.title()}, "force": True}
        ask(deployed, f"/flow_runs/{run['id']}/set_state", body)

    def looked(what: str) -> Any:
        return look(what, own["id"], now.isoformat())

    def started() -> list[dict[str, Any]]:
        """What a crash has started: other tests' runs of the same deployment were asked for."""
        chosen = {"flow_runs": {"deployment_id": {"any_": [there["id"]]}}}
        found = ask(deployed, "/flow_runs/filter", chosen)
        triggers = ((each["parameters"].get("trigger") or {}, each) for each in found)
        return [each for trigger, each in triggers if trigger.get("source") == "crash"]

    own, lively = begun(), begun()
    quiet = begun(params="other.yaml", channel="staging", fresh=True)
    time.sleep(8)
    now = datetime.now(UTC)
    event = {
        "id": str(uuid4()),
        "occurred": now.isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{lively['id']}"},
        "payload": {},
    }
    ask(deployed, "/events", [event])
    theirs = {"id": [event["resource"]["prefect.resource.id"]]}
    heard = {"filter": {"event": {"name": [event["event"]]}, "resource": theirs}}
    wait_for(
        lambda: ask(deployed, "/events/filter", heard)["total"] == 1,
        quiet_seconds=60,
        what="the server to write down what it heard",
    )
    assert looked("silent") == [quiet["name"]]  # not the one that looks, nor one that beats
    put(own, "COMPLETED")
    put(lively, "COMPLETED")
    assert looked("continue") is None  # it still runs
    put(quiet, "CRASHED")
    assert looked("continue") == quiet["name"]
    looked("hook")
    looked("hook")  # whoever looks again, or at once, starts no second one
    (again,) = started()
    assert quiet["name"] in again["parameters"]["trigger"]["reason"]
    asked = {name: again["parameters"].get(name) for name in ("params", "channel", "fresh")}
    assert asked == {"params": "other.yaml", "channel": "staging", "fresh": None}
    assert looked("continue") is None  # it is to come
    put(again, "CRASHED")
    assert looked("continue") == again["name"]
    never_begun = ask(deployed, f"/deployments/{there['id']}/create_flow_run", {"parameters": {}})
    put(never_begun, "CANCELLED")  # as a late one whose work another does
    assert looked("continue") == again["name"]
    put(begun(), "CRASHED")
    assert looked("continue") is None  # the third: a person must look


def test_a_missing_server_or_file_is_one_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert main([]) == 2
    assert "PREFECT_API_URL names no server" in capsys.readouterr().err
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert main(["--prefect-file", str(tmp_path / "nowhere.yaml")]) == 2
    assert "names no deployments" in capsys.readouterr().err
