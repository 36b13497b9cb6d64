"""Training by several processes, stopped in the middle, and beside a checkpoint of another one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from small import digest_of, write_params

from perennial.errors import BadInput
from perennial.model.digest import directory_digest
from perennial.params.reading import load_params
from perennial.stages.followers import followers, stop_signals
from perennial.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(trained_workspace: Path, tmp_path: Path) -> Workspace:
    """A workspace whose training is to be done again."""
    shutil.copytree(trained_workspace, tmp_path / "workspace")
    found = Workspace(tmp_path / "workspace")
    shutil.rmtree(found.artifacts("train"))
    shutil.rmtree(found.work("train"))
    return found


def start(workspace: Workspace, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "perennial.stages.train"],
        cwd=workspace.root,
        env=os.environ | more,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What it said until it ended well."""
    said = process.communicate(timeout=500)[1]
    assert process.returncode == 0, said
    return said


def slowed(workspace: Workspace) -> None:
    """So many epochs that there is time to stop it."""
    write_params(workspace.params, {"train": {"epochs": 400, "patience": 400}})


def wait_for_steps(workspace: Workspace, process: subprocess.Popen[str], steps: int) -> None:
    progress, deadline = workspace.work("train") / "progress.jsonl", time.monotonic() + 120
    while not progress.exists() or progress.read_bytes().count(b"\n") < steps:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)


def test_two_processes_give_the_encoder_of_one(
    workspace: Workspace, trained_workspace: Path
) -> None:
    said = finish(start(workspace, PERENNIAL_PROCESSES="2"))
    assert said.count("train [") == 2  # two epochs, said by the first alone
    one = load_file(trained_workspace / "artifacts/train/encoder/model.safetensors")
    two = load_file(workspace.artifacts("train") / "encoder" / "model.safetensors")
    for name, weights in one.items():
        assert np.allclose(weights, two[name], atol=1e-3)
    steps = [
        json.loads(line)["loss"]
        for line in (workspace.work("train") / "progress.jsonl").read_text().splitlines()
    ]
    summary = json.loads((workspace.artifacts("train") / "summary.json").read_text())
    assert len(steps) == summary["steps"]
    assert not (workspace.work("train") / "meeting").exists()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_sigterm_writes_a_checkpoint_first_and_the_same_command_continues_to_the_same_bytes(
    workspace: Workspace, tmp_path: Path, processes: str
) -> None:
    shutil.copytree(workspace.root, tmp_path / "other")
    other = Workspace(tmp_path / "other")
    changes = {"train": {"epochs": 30, "patience": 30, "checkpoint_steps": 100_000}}
    changes["train"]["validation_share"] = 0.0  # no other reason for a checkpoint
    for place in (workspace, other):
        write_params(place.params, changes)
    finish(start(other, PERENNIAL_PROCESSES=processes))
    process = start(workspace, PERENNIAL_PROCESSES=processes)
    wait_for_steps(workspace, process, 3)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=500)[1]
    assert process.returncode == 75, said
    assert "perennial: train: training was asked to stop after step" in said
    assert "Traceback" not in said
    own = workspace.work("train") / digest_of(workspace, load_params(workspace.params))
    assert (own / "checkpoint.safetensors").exists()
    finish(start(workspace, PERENNIAL_PROCESSES=processes))
    one, two = (directory_digest(place.artifacts("train")) for place in (workspace, other))
    assert one == two


def test_a_process_that_dies_ends_the_others_with_a_sentence(workspace: Workspace) -> None:
    slowed(workspace)
    process = start(workspace, PERENNIAL_PROCESSES="2")
    wait_for_steps(workspace, process, 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    victims = [
        int(child)
        for child in children
        if b"perennial.stages.train" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    assert len(victims) == 1
    os.kill(victims[0], signal.SIGKILL)
    said = process.communicate(timeout=500)[1]
    assert process.returncode == 75, said
    assert "another process of this training ended" in said and "Traceback" not in said


def test_a_checkpoint_of_another_training_is_not_continued_and_the_difference_is_said(
    workspace: Workspace,
) -> None:
    slowed(workspace)
    process = start(workspace)
    wait_for_steps(workspace, process, 3)
    process.kill()
    process.communicate()
    write_params(workspace.params, {"train": {"learning_rate": 0.001}})
    said = finish(start(workspace))
    assert "is of another training and is not continued" in said
    assert "train.epochs was 400, is 2" in said and "train.learning_rate was" in said
    assert "triplets was" not in said


def test_a_number_of_processes_that_is_none_is_refused(monkeypatch, tmp_path: Path) -> None:
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("PERENNIAL_PROCESSES", wrong)
        with (
            pytest.raises(BadInput, match=r"PERENNIAL_PROCESSES is .*number from 1 on"),
            followers("perennial.stages.train", tmp_path),
        ):
            raise AssertionError("it ran")


def test_a_signal_is_heard_and_the_old_answer_to_it_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert should_stop()
    assert signal.getsignal(signal.SIGTERM) == before
