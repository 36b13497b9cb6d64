"""An encoder that falls ill while it learns ends the stage; what was well stays on the disk."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from small import digest_of, write_params
from warm import Answer, WarmPython

from perennial.params.reading import load_params
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


def train(workspace: Workspace, warm: WarmPython) -> Answer:
    return warm.run("perennial.stages.train", cwd=workspace.root)


def own_folder(workspace: Workspace) -> Path:
    """Where this training's checkpoint lies."""
    return workspace.work("train") / digest_of(workspace, load_params(workspace.params))


def checkpoint(workspace: Workspace) -> tuple[dict[str, np.ndarray], list[dict[str, object]]]:
    """Its tensors and the steps that it has behind it."""
    with safe_open(own_folder(workspace) / "checkpoint.safetensors", framework="np") as stream:
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        return tensors, json.loads(stream.metadata()["progress"])["history"]


@pytest.mark.parametrize(
    ("changes", "sentence", "change"),
    [
        ({"min_rank_share": 0.9}, "the embeddings collapse at step", "train.learning_rate"),
        ({"weight_decay": 1e8}, "the weights became NaN or Inf at step", "train.learning_rate"),
        ({"max_norm_growth": 1.01}, "the gradient exploded", "train.clip_norm"),
    ],
)
def test_the_stage_ends_with_what_to_change_and_the_last_good_checkpoint_stays(
    workspace: Workspace, warm: WarmPython, changes: dict[str, float], sentence: str, change: str
) -> None:
    wild = {"epochs": 12, "patience": 12, "learning_rate": 1.0, "checkpoint_steps": 1}
    write_params(workspace.params, {"train": wild | changes})
    done = train(workspace, warm)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.startswith(f"perennial: train: {sentence}"), done.stderr
    assert change in last and "Traceback" not in done.stderr
    assert not (workspace.artifacts("train") / "encoder").exists()
    progress = (workspace.work("train") / "progress.jsonl").read_text().splitlines()

    # Again, from the checkpoint: the same end, because nothing was changed.
    tensors, history = checkpoint(workspace)
    assert all(np.isfinite(values).all() for values in tensors.values())
    assert history and len(progress) - 1 <= len(history) <= len(progress)
    assert train(workspace, warm).stderr.splitlines()[-1] == last
    assert len(checkpoint(workspace)[1]) == len(history)

    ill = own_folder(workspace)
    write_params(workspace.params, {"train": {"learning_rate": 0.01}})
    done = train(workspace, warm)
    assert done.returncode == 0, done.stderr
    assert "train.learning_rate was 1.0, is 0.01" in done.stderr  # and begins anew
    assert (ill / "checkpoint.safetensors").exists()
    assert (workspace.artifacts("train") / "encoder").exists()


def test_a_training_that_knows_all_already_ends_after_an_epoch(
    workspace: Workspace, warm: WarmPython
) -> None:
    alone = {"mining": "given", "replay_share": 0.0, "validation_share": 0.0}
    write_params(workspace.params, {"train": alone | {"epochs": 20, "learning_rate": 0.1}})
    assert train(workspace, warm).returncode == 0
    shutil.copytree(workspace.artifacts("train") / "encoder", workspace.root / "learned")
    easy = {"base": "learned", "margin": 1e-6, "learning_rate": 1e-6}
    write_params(workspace.params, {"train": alone | easy | {"epochs": 9}})
    done = train(workspace, warm)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1, done.stderr
    assert last.startswith("perennial: train: no triplet of the first epoch teaches")
    assert "train.hard_negatives" in last
    assert {step["epoch"] for step in checkpoint(workspace)[1]} == {0}
