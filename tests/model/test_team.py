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


# Imports take longer than all else: once, before the fork into the processes of a training.
TEACH = """
import json, os, sys
from pathlib import Path
import sentence_transformers, torch
from tiny_encoder import HELD, things, train
from perennial.errors import TrainingInterrupted
from perennial.model.digest import directory_digest
from perennial.model.examples import pairs
from perennial.model.team import join_team, leave_team
from perennial.model.trainable import load_trainable

def teach():
    device = torch.device("cpu")
    team = join_team(device)
    model = load_trainable(root / "encoder", max_tokens=32, device=device, budget=200,
                           freeze_layers=int(*freeze))
    for module in model.module.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    things_twice = pairs(things().documents[:40], things().queries[:40])
    trained = train(
        model, epochs=2, held=HELD, learning_rate=0.002, replay=things_twice, replay_size=8,
        is_cached=cached == "cached", team=team, checkpoint=root / "checkpoint.safetensors",
        should_stop=lambda: stop == "stop" and team.rank == 1,
    )
    if team.is_first:
        model.save(root / f"out-{team.size}")
        history = [[s.loss, s.gradient_norm, s.validation] for s in trained.history]
        (root / f"history-{team.size}.json").write_text(json.dumps(history))
    leave_team()

def process(rank, size):
    meeting = str(root / f"meeting-{size}")
    os.environ |= {"WORLD_SIZE": str(size), "RANK": str(rank), "PERENNIAL_MEETING": meeting}
    teach()

sizes, root, cached, stop, *freeze = sys.argv[1:]
root, ended = Path(root), []
for size in map(int, sizes.split(",")):
    (root / "checkpoint.safetensors").unlink(missing_ok=True)
    begun = []
    for rank in range(size):
        if (child := os.fork()) == 0:
            code = 1
            try:
                process(rank, size)
                code = 0
            except TrainingInterrupted:
                code = 75
            except Exception as error:
                print(type(error).__name__, error, file=sys.stderr)
            finally:
                os._exit(code)
        begun.append(child)
    ended += [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in begun]
print(json.dumps(ended))
"""


def teach(root: Path, sizes: str, *more: str) -> list[int]:
    """Exit codes of the processes of a training by each of so many processes, one after another."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", TEACH, sizes, str(root), *more],
        env=os.environ | {"PYTHONPATH": paths, "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=500,
        check=True,
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize("cached", ["cached", "whole"])
def test_two_processes_train_what_one_does(tiny_bert, tmp_path: Path, cached: str) -> None:
    from safetensors.torch import load_file

    (tmp_path / "encoder").symlink_to(tiny_bert)
    assert teach(tmp_path, "1,2", cached, "run") == [0] * 3
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
    assert teach(tmp_path, "1,2", "whole", "run", "1") == [0] * 3
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
    codes = teach(tmp_path, "2", "whole", "stop")
    assert codes == [75, 75]  # TrainingInterrupted, on both
    assert (tmp_path / "checkpoint.safetensors").exists()
