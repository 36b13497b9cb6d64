"""The retrain as a process of its own on a real server: promoted, refused, killed, broken."""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from everything import everything
from mlflow import MlflowClient
from small import LENIENT

from perennial.report.review_view import approval_of
from tasks.registry import MODEL
from tasks.repro import stage_environment
from tasks.workspace import DVC_CONFIG

from .conftest import wait_for

pytestmark = pytest.mark.slow


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


def test_a_refusal_is_a_normal_end_that_changes_nothing_and_is_not_worked_out_twice(make_company):
    company = make_company(LENIENT, {"gate": {"min_queries": 10_000}})
    code, said = company.retrain()
    assert code == 1, said
    assert "Finished in state Inconclusive" in said
    assert company.stable() == company.champion
    (workspace,) = company.workspaces()
    assert (workspace / "work" / "report" / "report.html").exists()
    page = (workspace / "work" / "review" / "page" / "review.html").read_text()
    assert "nothing to approve" in page and "Download marks" in page

    code, said = company.retrain()
    assert code == 1, said
    assert company.workspaces() == [workspace]
    for stage in ("validate", "judge", "mine", "audit", "train", "index", "evaluate"):
        assert f"{stage} was up to date" in said
    assert len(MlflowClient(company.tracking_uri).search_runs(["1"])) == 1


def test_a_killed_retrain_continues_and_gives_the_bytes_of_a_plain_dvc_repro(
    make_company, tmp_path
):
    company = make_company(LENIENT, {"train": {"epochs": 40, "patience": 40}})
    process = company.start()
    wait_for(
        lambda: any(path.stat().st_size for path in company.find("work/train/progress.jsonl")),
        seconds=120,
        what="the first step of training",
    )
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=240)
    assert company.stable() == company.champion

    company.log_a_request()  # people go on searching meanwhile
    code, said = company.retrain()
    assert code == 0, said
    assert "continuing" in said and "--fresh would start anew" in said
    assert "validate was up to date" in said and "train ran in" in said
    (workspace,) = company.workspaces()
    assert differing(workspace, dvc_repro(workspace, tmp_path / "plain")) == []


def test_a_retrain_killed_right_after_its_swap_is_mirrored_and_reported_by_the_next(make_company):
    company = make_company(LENIENT)
    process = company.start()
    wait_for(lambda: company.stable() != company.champion, seconds=240, what="the swap")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=240)
    channel = company.store.read_channel("production")
    assert not company.find("work/report/summary.json")

    company.log_a_request()
    code, said = company.retrain()
    assert code == 0, said
    assert company.store.read_channel("production") == channel
    assert len(company.workspaces()) == 1
    assert "canary" not in said, "what was swapped is not judged again"
    assert company.find("work/report/summary.json")
    client = MlflowClient(company.tracking_uri)
    version = client.get_model_version_by_alias(MODEL, "champion")
    assert version.tags["release_id"] == company.stable()

    code, said = company.retrain("--fresh")
    assert len(company.workspaces()) == 2, said


def test_a_broken_table_ends_the_run_with_every_promise_named_and_the_champion_serving(
    make_company,
):
    def spoil(world) -> None:
        world.frame("catalogue").loc[1, "doc_id"] = world.frame("catalogue").loc[0, "doc_id"]

    company = make_company(LENIENT, spoil=spoil)
    code, said = company.retrain()
    assert code == 2, said
    assert company.stable() == company.champion
    assert "promises are broken" in said
    run = MlflowClient(company.tracking_uri).search_runs(["1"])[0]
    assert run.info.status == "FAILED"
    assert "doc_id" in run.data.tags["failure"]


def test_review_waits_for_a_person_who_read_this_gate(make_company):
    company = make_company(LENIENT, {"gate": {"review": "required"}})
    process = company.start()
    name = "work/register/candidate.json"
    wait_for(lambda: bool(company.find(name)), seconds=120, what="a registered candidate")
    about = json.loads(company.find(name)[0].read_text())
    client = MlflowClient(company.tracking_uri)
    assert company.stable() == company.champion
    word = approval_of(about["release_id"], about["gate"])
    version = client.get_model_version(MODEL, about["version"])
    assert word in version.description
    pages = {item.path for item in client.list_artifacts(version.run_id, "review")}
    assert "review/review.html" in pages, "a person has something to read before the answer"
    client.set_model_version_tag(MODEL, about["version"], "approved", word)
    client.set_model_version_tag(MODEL, about["version"], "reviewer", "Ada")
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said
    channel = company.store.read_channel("production")
    assert channel is not None and channel.stable == about["release_id"]
    assert channel.history[-1].who == "flow retrain, approved by Ada"
    assert client.get_run(version.run_id).data.tags["reviewer"] == "Ada"


def dvc_repro(workspace: Path, folder: Path) -> Path:
    """The inputs of the workspace in another folder, brought up to date by `dvc repro` alone."""
    for name in ("perennial", "expectations", "snapshot"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(workspace / name, folder / name, ignore=ignored)
    for name in ("params.yaml", "dvc.yaml", ".dvcignore"):
        shutil.copyfile(workspace / name, folder / name)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text(DVC_CONFIG.format(cache=folder / "cache"))
    command = [sys.executable, "-m", "dvc", "repro"]
    subprocess.run(command, cwd=folder, env=stage_environment(os.environ), check=True)
    return folder


def differing(one: Path, two: Path) -> list[str]:
    """Files below artifacts/, and dvc.lock, that are missing on a side or have other bytes."""
    names = {
        path.relative_to(root).as_posix()
        for root in (one, two)
        for path in [*root.rglob("artifacts/**/*"), root / "dvc.lock"]
        if path.is_file()
    }
    _, mismatch, errors = filecmp.cmpfiles(one, two, sorted(names), shallow=False)
    return [*mismatch, *errors]
