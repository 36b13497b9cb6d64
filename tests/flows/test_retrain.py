"""The retrain as a process of its own on a real server: promoted, refused, forced."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from everything import everything
from mlflow import MlflowClient
from rich.console import Console
from small import LENIENT, STAGES

from perennial.workspace import Places
from tasks.closing import show_end
from tasks.registry import MODEL
from tasks.summary import write_summary

from .conftest import CHECKOUT, ask

pytestmark = pytest.mark.slow
WHY = "the labels are of last year"
ACCEPTED = "accepted/production"
ADDRESS, KEY = "anna.planted@example.org", "a-planted-key-of-somebody"


def plant(world):
    """An address in what a session is called and in what it and others ask, with a known answer."""
    requests, judgements = world.frame("requests"), world.frame("judgements")
    for asked in requests["query"].unique()[:30]:
        for table in (requests, judgements):
            table.loc[table["query"] == asked, "query"] = f"{asked} {ADDRESS}"
    requests.loc[:9, "session_id"] = ADDRESS


def test_a_candidate_that_passes_becomes_the_champion_and_everybody_says_so(make_company):
    company = make_company(LENIENT, spoil=plant)
    secrets = ("PERENNIAL_SESSION_KEY", "PERENNIAL_ACCESS_KEYS", "AWS_SECRET_ACCESS_KEY")
    company = replace(company, environment={**company.environment, **dict.fromkeys(secrets, KEY)})
    code, said = company.retrain()
    assert code == 0, said
    told = everything(company.home) | everything(Path(company.environment["PREFECT_HOME"]))
    assert sum("<email>" in each for each in told.values()) > 5
    told[Path("said")] = said
    source = company.home / "source"  # the live log has it, and no one else
    for secret in (ADDRESS, "anna.planted", KEY):
        holding = [path for path, each in told.items() if secret in each]
        assert not [path for path in holding if source not in path.parents]
    assert company.stable() != company.champion
    (workspace,) = company.workspaces()
    for step in ("gate", "review", "shadow", "canary", "swap"):
        assert (workspace / "work" / step / "decision.json").exists()
    page = (workspace / "work" / "report" / "report.html").read_text()
    assert company.stable() in page
    runs = ask(company.environment, "/flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC"})
    ours = next(each for each in runs if each["parameters"].get("params") == str(company.params))
    of_it = {"artifacts": {"flow_run_id": {"any_": [ours["id"]]}}}
    artifacts = {each["key"] for each in ask(company.environment, "/artifacts/filter", of_it)}
    assert {"validation", "gate-decision", "gate-evidence", "shadow-decision"} <= artifacts
    assert {"canary-decision", "release", "report"} <= artifacts

    client = MlflowClient(company.tracking_uri)
    version = client.get_model_version_by_alias(MODEL, "champion")
    assert version.tags["release_id"] == company.stable()
    assert version.tags["decision"] == "promote"
    assert "candidate" not in client.get_registered_model(MODEL).aliases
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["train.epochs"] == "2"
    assert "systems" not in run.data.metrics and "candidate/ndcg_at_10/low" in run.data.metrics
    assert client.get_metric_history(version.run_id, "train/loss")
    artifacts = {item.path for item in client.list_artifacts(version.run_id)}
    assert {"encoder", "gate.json", "report.html"} <= artifacts
    check_how_a_demo_shows_it(company)


def check_how_a_demo_shows_it(company):
    """Every round, the decision and where to look."""
    places = Places.from_environment({"PERENNIAL_HOME": str(company.home)})
    written = write_summary(places, verbs={"import": 1.0}, total_seconds=60.0, peak_memory_mb=123.4)
    assert written == json.loads((company.home / "summary.json").read_text())
    assert set(written) == {
        "format_version",
        "decision",
        "rounds",
        "seconds",
        "peak_memory_mb",
        "releases",
    }
    assert written["decision"]["outcome"] == "promote"
    (only,) = written["rounds"]
    assert set(only) == {"lexical", "champion", "candidate", "difference"}
    assert written["releases"] == [company.champion, company.stable()]
    seconds = written["seconds"]
    assert seconds["import"] == 1.0 and seconds["total"] == 60.0 and seconds["train"] > 0
    assert 0 < seconds["orchestration"] < 60

    console = Console(record=True, width=100, file=io.StringIO())
    show_end(places, written, console)
    shown = console.export_text()
    for part in ("Promote", "nDCG@10", "Before and after", "mlflow ui", "report.html"):
        assert part in shown


def test_a_refusal_ends_well_changes_nothing_and_is_overruled_only_with_a_reason(make_company):
    company = make_company(LENIENT, {"gate": {"min_queries": 10_000}})
    code, said = company.retrain()
    assert code == 1, said
    assert "Finished in state Inconclusive" in said
    assert company.stable() == company.champion
    (workspace,) = company.workspaces()
    assert (workspace / "work" / "report" / "report.html").exists()
    page = (workspace / "work" / "review" / "page" / "review.html").read_text()
    assert "nothing to approve" in page and "Download marks" in page
    accepted = company.store.read_record(ACCEPTED)
    assert accepted is not None

    code, said = company.retrain("--force", "--reason", WHY)
    assert code == 0, said
    assert company.workspaces() == [workspace]
    for stage in STAGES:
        assert f"{stage} was up to date" in said
    client = MlflowClient(company.tracking_uri)
    assert len(client.search_runs(["1"])) == 1
    assert company.store.read_record(ACCEPTED) == accepted
    check_that_everybody_says_it_was_forced(company, workspace)
    forced = company.stable()

    company.export_twice()
    code, said = company.retrain()
    assert code == 2 and "promises are broken" in said, said
    assert company.stable() == forced
    newest = client.search_runs(["1"], order_by=["start_time DESC"])[0]
    assert newest.info.status == "FAILED" and "doc_id" in newest.data.tags["failure"]
    assert company.store.read_record(ACCEPTED) == accepted
    (refused,) = set(company.workspaces()) - {workspace}
    frozen = json.loads((refused / "snapshot" / "accepted.json").read_bytes())
    about = json.loads((workspace / "snapshot" / "snapshot.json").read_bytes())
    assert frozen["snapshot"] == about["digest"], "it was compared with what was accepted"


def check_that_everybody_says_it_was_forced(company, workspace):
    """Decision, release, channel and status."""
    assert company.stable() != company.champion
    decision = json.loads((workspace / "work" / "gate" / "decision.json").read_text())
    assert (decision["outcome"], decision["forced"]) == ("promote", WHY)
    assert "10000 are needed" in decision["reasons"][1]
    assert company.store.read_channel("production").history[-1].forced == WHY
    status = subprocess.run(
        [sys.executable, "-m", "perennial.cli", "status"],
        cwd=CHECKOUT,
        env=os.environ | dict(company.environment),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "FORCED past the gate" in status and WHY in status
