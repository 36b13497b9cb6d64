"""Training by torchrun: one agent a machine, that find each other, train what one machine does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ray_cluster import free_port
from small import write_params

from perennial.model.digest import directory_digest
from perennial.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def workspaces(trained_workspace: Path, tmp_path: Path) -> list[Workspace]:
    """Two copies of a workspace whose training is to be done again."""
    found = []
    for name in ("one", "other"):
        shutil.copytree(trained_workspace, tmp_path / name)
        found.append(Workspace(tmp_path / name))
        for folder in (found[-1].artifacts("train"), found[-1].work("train")):
            shutil.rmtree(folder)
    return found


def agent(
    workspace: Workspace, *, machines: int, processes: int, meeting: int
) -> subprocess.Popen[str]:
    """What somebody types on each machine, in the workspace."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", str(machines), "--nproc-per-node", str(processes)),
        *("--rdzv-backend", "c10d", "--rdzv-id", "perennial"),
        *("--rdzv-endpoint", f"127.0.0.1:{meeting}"),
        *("-m", "perennial.stages.train"),
    ]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(
        command, cwd=workspace.root, env=environment, stderr=subprocess.PIPE, text=True
    )


def ends(*agents: subprocess.Popen[str]) -> tuple[list[int], str]:
    """Their exit codes, and all that they said."""
    said = "".join(each.communicate(timeout=1000)[1] for each in agents)
    return [each.returncode for each in agents], said


def test_two_machines_of_one_process_train_the_bytes_of_one_machine_of_two(workspaces) -> None:
    one, shared = workspaces
    codes, said = ends(agent(one, machines=1, processes=2, meeting=free_port()))
    assert codes == [0], said
    meeting = free_port()
    codes, said = ends(*(agent(shared, machines=2, processes=1, meeting=meeting) for _ in range(2)))
    assert codes == [0, 0], said
    assert directory_digest(one.artifacts("train")) == directory_digest(shared.artifacts("train"))


def test_machines_with_workspaces_of_their_own_that_differ_are_refused(workspaces) -> None:
    one, other = workspaces
    write_params(other.params, {"train": {"learning_rate": 0.001}})
    meeting = free_port()
    codes, said = ends(
        *(agent(each, machines=2, processes=1, meeting=meeting) for each in workspaces)
    )
    assert all(codes)
    assert "do not have the same inputs and checkpoint" in said
    assert "one shared folder as the workspace" in said
    assert not (one.artifacts("train") / "encoder").exists()
    assert not (other.artifacts("train") / "encoder").exists()
