"""Killed again and again: each run continues where the one before died, and the end is the same."""

import contextlib
import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from small import LENIENT, STAGES

from perennial.release.accepted import read_accepted
from tasks.registry import MODEL
from tasks.repro import stage_environment
from tasks.workspace import DVC_CONFIG

from .conftest import Company, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
# A file of each shows that it has begun; validate makes its outs last, and accept comes after it.
MOMENTS = (
    *("work/validate", "artifacts/validate/summary.json", "artifacts/judge", "artifacts/mine"),
    *("artifacts/audit", "work/train/progress.jsonl", "artifacts/index", "artifacts/evaluate"),
)


def test_a_retrain_killed_at_every_stage_and_after_its_swap_ends_as_one_that_was_not(
    make_company, tmp_path
):
    company = make_company(LENIENT, {"train": {"epochs": 40, "patience": 40}})
    serving = company.store.read_channel("production")
    for moment in MOMENTS:
        kill_at(company, lambda at=moment: any(map(has_begun, company.find(at))), moment)
        assert company.store.read_channel("production") == serving, moment
    company.log_a_request()  # people go on searching meanwhile
    said = kill_at(company, lambda: company.stable() != company.champion, "the swap")
    assert "continuing" in said and "--fresh would start anew" in said
    before = said[: said.index("evaluate ran in")]
    assert all(f"{stage} was up to date" in before for stage in STAGES[:-2])
    channel = company.store.read_channel("production")
    assert not company.find("work/report/summary.json")

    company.log_a_request()
    code, said = company.retrain()
    assert code == 0, said
    assert company.store.read_channel("production") == channel
    assert "canary" not in said, "what was swapped is not judged again"
    assert company.find("work/report/summary.json")
    client = MlflowClient(company.tracking_uri)
    version = client.get_model_version_by_alias(MODEL, "champion")
    assert version.tags["release_id"] == company.stable()
    (workspace,) = company.workspaces()
    about = json.loads((workspace / "snapshot" / "snapshot.json").read_bytes())
    remembered = read_accepted(company.store, "production")
    assert remembered.newest.snapshot == about["digest"] and remembered.before is None
    assert differing(workspace, dvc_repro(workspace, tmp_path / "plain")) == []

    begun = "snapshot/snapshot.json"
    kill_at(company, lambda: len(company.find(begun)) == 2, "a fresh one", "--fresh")


def kill_at(company: Company, condition, what: str, *arguments: str) -> str:
    """A retrain killed as soon as the condition holds; what it said."""
    process = company.start(*arguments)
    try:
        wait_for(lambda: process.poll() is not None or condition(), quiet_seconds=240, what=what)
    finally:
        process.kill()
        said, _ = process.communicate(timeout=500)
    assert process.returncode == -signal.SIGKILL, (what, said)
    return said


def has_begun(path: Path) -> bool:
    """Whether its stage was there; DVC may take away what an earlier run had left of it."""
    with contextlib.suppress(FileNotFoundError):
        return path.is_dir() or path.stat().st_size > 0
    return False


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
