"""Stages run in this process, each on a copy: one session's import of torch serves them all."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from perennial.stages.shell import run_stage
from perennial.workspace import Workspace

ORDER = ("validate", "judge", "mine", "audit", "train", "index", "evaluate")


@pytest.fixture(scope="session")
def run() -> Callable[[str, Path], None]:
    """`run("mine", root)`: one stage of a workspace, in this process; what it raises comes out."""

    def run_here(stage: str, root: Path) -> None:
        if stage == "validate":
            importlib.import_module("expectations.__main__").validate(Workspace(root))
            return
        room = "expectations" if stage == "audit" else "perennial.stages"
        module = importlib.import_module(f"{room}.{stage}")
        run_stage(stage, module.run, Workspace(root))

    return run_here


@pytest.fixture(scope="session")
def finished(fresh_workspace, run, tmp_path_factory) -> Path:
    """A workspace after validate, judge, mine, train, index and evaluate; read-only."""
    root = tmp_path_factory.mktemp("finished") / "workspace"
    shutil.copytree(fresh_workspace, root)
    for stage in ORDER:
        run(stage, root)
    return root


@pytest.fixture
def workspace(finished, tmp_path) -> Workspace:
    """A finished workspace that the test may change."""
    shutil.copytree(finished, tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")
