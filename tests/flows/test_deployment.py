"""The deployments of infra/prefect.yaml on a real server with real workers and a real receiver."""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest

from infra.bench.deliveries import SECRETS, signed

from .conftest import CHECKOUT, ask, python, wait_for

pytestmark = pytest.mark.slow
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
SCHEDULES = {
    "retrain": ["0 3 * * 1"],
    "reindex": ["*/15 * * * *"],
    "watch": ["35 * * * *"],
    "sweep": ["20 4 * * *"],
    "rollout": ["*/5 * * * *"],
}


def send(address: str, body: bytes, headers):
    """The receiver's status, and the answer's JSON."""
    headers = {"Content-Type": "application/json"} | headers
    request = urllib.request.Request(address, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@contextmanager
def running(environment, *arguments: str, cwd=CHECKOUT) -> Iterator[list[str]]:
    """A module as a process, and the lines that it says."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stdout))
    reader.start()
    try:
        yield said
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:  # a worker may miss the signal as its child ends
            process.kill()
            process.wait()
        reader.join()
        process.stdout.close()


@contextmanager
def listening() -> Iterator[tuple[str, list[dict]]]:
    """An address that takes notifications, and what it was told."""
    told: list[dict] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/", told
        server.shutdown()


def runs_of(environment, deployment, **state):
    """Those that no schedule made."""
    chosen = {"deployment_id": {"any_": [deployment["id"]]}, "state": state} if state else {
        "deployment_id": {"any_": [deployment["id"]]}
    }  # fmt: skip
    found = ask(environment, "/flow_runs/filter", {"flow_runs": chosen, "limit": 200})
    return [each for each in found if not each["auto_scheduled"]]


def emit(environment, verdict: str) -> None:
    """What the flow watch says."""
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": f"perennial.watch.{verdict}",
        "resource": {"prefect.resource.id": "perennial.channel.production"},
        "payload": {
            "reason": "queries moved: p < 0.001",
            "evidence": [{"name": "mmd", "value": 0.31, "low": None, "n": 400, "holds": False}],
            "key": "w-1",
        },
    }
    ask(environment, "/events", [event])


@pytest.mark.timeout(900)
def test_a_webhook_and_a_verdict_start_runs_that_finish_and_a_failure_is_told(make_company):
    company = make_company()
    given = ",".join(f"{source}={secret}" for source, secret in SECRETS.items())
    environment = {**company.environment, "PWD": str(CHECKOUT), "PERENNIAL_WEBHOOK_SECRETS": given}
    for _ in range(2):  # what is there is brought up to date
        python(environment, "-m", "flows.deploy")
    deployments = {name: ask(environment, f"/deployments/name/{name}/{name}") for name in SCHEDULES}
    for name, deployment in deployments.items():
        assert [each["schedule"]["cron"] for each in deployment["schedules"]] == SCHEDULES[name]
        assert deployment["global_concurrency_limit"]["limit"] == 1
        given_params = {**deployment["parameters"], "params": str(company.params)}
        if name == "retrain":
            given_params["params"] = str(company.home / "nowhere.yaml")
        ask(
            environment,
            f"/deployments/{deployment['id']}",
            {"parameters": given_params},
            method="PATCH",
        )

    with running(environment, "flows.receiver", "--port", "0") as said:
        wait_for(
            lambda: any("deliveries" in line for line in said), quiet_seconds=60, what="receiver"
        )
        address = next(line for line in said if "deliveries" in line).split()[-1]
        body = json.dumps({"reason": "drift", "evidence": [{"name": "psi", "n": 900}]}).encode()

        def deliver(delivery: str):
            proof = signed(
                "evidently", body, delivery=delivery, at=time.time(), secret=SECRETS["evidently"]
            )
            return send(f"{address}retrain", body, proof)

        status, started = deliver("d-1")
        assert status == 202
        assert deliver("d-1") == (200, {**deliver("d-1")[1], "run": started["run"]})
        assert deliver("d-2")[0] == 429, "it cools down"
    assert not any(SECRETS["evidently"] in line for line in said)

    for _ in range(2):  # the second within the quarter of an hour starts nothing
        emit(environment, "reindex")
    reindexes = deployments["reindex"]
    wait_for(
        lambda: runs_of(environment, reindexes), quiet_seconds=60, what="the automation to act"
    )

    with listening() as (notify, told):
        worker = ("prefect", "worker", "start", "--pool")
        told_environment = {**environment, "PERENNIAL_NOTIFY_URL": notify}
        with (
            running(told_environment, *worker, "perennial", cwd=company.home) as cpu,
            running(told_environment, *worker, "perennial-gpu", cwd=company.home) as gpu,
        ):
            path = f"/deployments/{deployments['sweep']['id']}/create_flow_run"
            swept = ask(environment, path, {})["id"]
            runs = [started["run"], swept, runs_of(environment, reindexes)[0]["id"]]

            def states():
                return [ask(environment, f"/flow_runs/{run}")["state"] for run in runs]

            wait_for(
                lambda: {state["type"] for state in states()} <= ENDED,
                quiet_seconds=500,
                what="the runs to end",
            )
    ended = [(state["type"], state["name"]) for state in states()]
    assert ended[0] == ("FAILED", "Failed"), gpu
    assert [state for state, _ in ended[1:]] == ["COMPLETED"] * 2, cpu
    assert [(each["flow"], each["run_id"]) for each in told] == [("retrain", started["run"])]
    assert "nowhere.yaml" in told[0]["text"]

    retrain, _, reindex = (ask(environment, f"/flow_runs/{run}") for run in runs)
    assert retrain["parameters"]["trigger"]["key"] == "evidently:d-1"
    assert reindex["parameters"]["trigger"] == {
        "source": "watch",
        "reason": "queries moved: p < 0.001",
        "evidence": [{"name": "mmd", "value": 0.31, "low": None, "n": 400, "holds": False}],
        "key": "w-1",
    }
    of_it = {"artifacts": {"flow_run_id": {"any_": [retrain["id"]]}}}
    assert "trigger" in {each["key"] for each in ask(environment, "/artifacts/filter", of_it)}
    assert [len(runs_of(environment, deployments[name])) for name in ("retrain", "reindex")] == [
        1,
        1,
    ]
