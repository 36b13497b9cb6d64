"""The deployment of infra/prefect.yaml on a real server with a real process worker."""

import json
import subprocess
import sys
import urllib.request

import pytest

from .conftest import CHECKOUT, LENIENT, wait_for

pytestmark = pytest.mark.slow


def prefect(environment, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=500,
    ).stdout


def ask(environment, path: str, body=None):
    request = urllib.request.Request(
        environment["PREFECT_API_URL"] + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_a_triggered_run_of_the_deployment_finishes_and_shows_its_artifacts(make_company):
    company = make_company(LENIENT)
    environment = {**company.environment, "PWD": str(CHECKOUT)}
    prefect(environment, "work-pool", "create", "perennial", "--type", "process")
    prefect(environment, "deploy", "--all", "--prefect-file", "infra/prefect.yaml")
    deployment = ask(environment, "/deployments/name/retrain/retrain")
    assert [item["schedule"]["cron"] for item in deployment["schedules"]] == ["0 3 * * 1"]
    assert deployment["global_concurrency_limit"]["limit"] == 1

    def scheduled() -> int:
        state = {"type": {"any_": ["SCHEDULED"]}}
        return ask(environment, "/flow_runs/count", {"flow_runs": {"state": state}})

    wait_for(lambda: scheduled() > 0, seconds=60, what="the weekly runs to be scheduled")

    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "perennial"],
        cwd=company.home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        run = ask(
            environment,
            f"/deployments/{deployment['id']}/create_flow_run",
            {"parameters": {"params": str(company.params)}},
        )

        def state() -> dict[str, str]:
            return ask(environment, f"/flow_runs/{run['id']}")["state"]

        wait_for(
            lambda: state()["type"] in {"COMPLETED", "FAILED", "CRASHED"},
            seconds=400,
            what="the run to end",
        )
    finally:
        worker.terminate()
        try:
            said, _ = worker.communicate(timeout=30)
        except subprocess.TimeoutExpired:  # it may miss the signal as its child ends
            worker.kill()
            said, _ = worker.communicate(timeout=30)
    assert (state()["type"], state()["name"]) == ("COMPLETED", "Promote"), said
    assert company.stable() != company.champion
    artifacts = ask(
        environment,
        "/artifacts/filter",
        {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}},
    )
    keys = {item["key"] for item in artifacts}
    assert {"validation", "gate-decision", "gate-evidence", "shadow-decision", "release"} <= keys
    assert {"canary-decision", "report"} <= keys
