"""Several processes: their shares, and that two of them train what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput
from perennial.model.team import Team, join_team


@given(st.lists(st.integers(1, 500), min_size=1, max_size=80), st.integers(1, 8))
def test_every_text_has_one_process_and_the_work_is_about_even(
    lengths: list[int], size: int
) -> None:
    given = np.array(lengths)
    shares = Team(size=size).shares(given)
    assert sorted(row for share in shares for row in share.tolist()) == list(range(len(given)))
    work = [int(given[share].sum()) for share in shares]
    assert max(work) - min(work) <= given.max()


def test_a_launcher_that_does_not_say_which_process_this_is_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(BadInput, match="WORLD_SIZE is 2, but RANK"):
        join_team(torch.device("cpu"))


TEACH = """
import json, sys
from pathlib import Path
import torch
from tiny_encoder import HELD, things, train
from perennial.model.digest import directory_digest
from perennial.model.examples import pairs
from perennial.model.team import join_team, leave_team
from perennial.model.trainable import load_trainable

root, cached, stop = Path(sys.argv[1]), sys.argv[2] == "cached", sys.argv[3] == "stop"
device = torch.device("cpu")
team = join_team(device)
model = load_trainable(root / "encoder", max_tokens=32, device=device, budget=200,
                       freeze_layers=int(*sys.argv[4:]))
for module in model.module.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
things_twice = pairs(things().documents[:40], things().queries[:40])
trained = train(
    model, epochs=2, held=HELD, learning_rate=0.002, replay=things_twice, replay_size=8,
    is_cached=cached, team=team, checkpoint=root / "checkpoint.safetensors",
    should_stop=lambda: stop and team.rank == 1,
)
if team.is_first:
    model.save(root / f"out-{team.size}")
    history = [[s.loss, s.gradient_norm, s.validation] for s in trained.history]
    (root / f"history-{team.size}.json").write_text(json.dumps(history))
leave_team()
"""


def teach(root: Path, processes: int, *more: str) -> list[int]:
    """Exit codes of the processes of one training."""
    begun = []
    for rank in range(processes):
        environment = os.environ | {
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "WORLD_SIZE": str(processes),
            "RANK": str(rank),
            "PERENNIAL_MEETING": str(root / f"meeting-{processes}"),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        command = [sys.executable, "-c", TEACH, str(root), *more]
        begun.append(subprocess.Popen(command, env=environment))
    return [process.wait(timeout=500) for process in begun]


@pytest.mark.slow
@pytest.mark.parametrize("cached", ["cached", "whole"])
def test_two_processes_train_what_one_does(tiny_bert, tmp_path: Path, cached: str) -> None:
    from safetensors.torch import load_file

    for processes in (1, 2):
        (tmp_path / "checkpoint.safetensors").unlink(missing_ok=True)
        (tmp_path / "encoder").exists() or (tmp_path / "encoder").symlink_to(tiny_bert)
        assert teach(tmp_path, processes, cached, "run") == [0] * processes
    one, two = (json.loads((tmp_path / f"history-{n}.json").read_text()) for n in (1, 2))
    assert len(one) == len(two) > 5
    for mine, theirs in zip(one, two, strict=True):
        assert [v for v in theirs if v is not None] == pytest.approx(
            [v for v in mine if v is not None], rel=1e-3, abs=1e-5
        )
    first, second = (load_file(tmp_path / f"out-{n}" / "model.safetensors") for n in (1, 2))
    for name, weight in first.items():
        assert torch.allclose(weight, second[name], rtol=1e-3, atol=2e-4), name


@pytest.mark.slow
def test_two_processes_leave_frozen_layers_as_they_are(tmp_path: Path) -> None:
    from safetensors.torch import load_file
    from tiny_bert import write_tiny_bert

    write_tiny_bert(tmp_path, layers=2)
    for processes in (1, 2):
        (tmp_path / "checkpoint.safetensors").unlink(missing_ok=True)
        assert teach(tmp_path, processes, "whole", "run", "1") == [0] * processes
    before, one, two = (
        load_file(tmp_path / name / "model.safetensors") for name in ("encoder", "out-1", "out-2")
    )
    moved = {name for name, weight in before.items() if not torch.equal(weight, two[name])}
    assert moved and all("layer.1." in name for name in moved)
    for name, weight in one.items():
        assert torch.allclose(weight, two[name], rtol=1e-3, atol=2e-4), name


@pytest.mark.slow
def test_a_stop_that_one_process_hears_stops_all_after_the_same_step(
    tiny_bert, tmp_path: Path
) -> None:
    (tmp_path / "encoder").symlink_to(tiny_bert)
    codes = teach(tmp_path, 2, "whole", "stop")
    assert all(code != 0 for code in codes)  # TrainingInterrupted, on both
    assert (tmp_path / "checkpoint.safetensors").exists()
