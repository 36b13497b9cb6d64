"""Training by torchrun: one agent a machine, that find each other, train what one machine does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray_cluster import end, free_port
from small import write_params

from perennial.model.digest import directory_digest
from perennial.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
Started = tuple[subprocess.Popen[bytes], Path]  # and what it says


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


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Starts what somebody types on each machine, in the workspace; it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def one(workspace: Workspace, *, machines: int, processes: int, meeting: int) -> Started:
        command = [
            *(sys.executable, "-m", "torch.distributed.run"),
            *("--nnodes", str(machines), "--nproc-per-node", str(processes)),
            *("--rdzv-backend", "c10d", "--rdzv-id", "perennial"),
            *("--rdzv-endpoint", f"127.0.0.1:{meeting}"),
            *("-m", "perennial.stages.train"),
        ]
        environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
        said = tmp_path / f"agent-{len(started)}.log"
        with said.open("wb") as log:
            process = subprocess.Popen(command, cwd=workspace.root, env=environment, stderr=log)
        started.append(process)
        return process, said

    yield one
    for process in started:
        end(process)


def ends(*agents: Started) -> tuple[list[int], str]:
    """Their exit codes, and all that they said."""
    codes = [process.wait(1000) for process, _ in agents]
    return codes, "".join(said.read_text() for _, said in agents)


def test_two_machines_of_one_process_train_the_bytes_of_one_machine_of_two(
    workspaces, agent
) -> None:
    one, shared = workspaces
    codes, said = ends(agent(one, machines=1, processes=2, meeting=free_port()))
    assert codes == [0], said
    meeting = free_port()
    codes, said = ends(*(agent(shared, machines=2, processes=1, meeting=meeting) for _ in range(2)))
    assert codes == [0, 0], said
    assert directory_digest(one.artifacts("train")) == directory_digest(shared.artifacts("train"))


def test_machines_with_workspaces_of_their_own_that_differ_are_refused(workspaces, agent) -> None:
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
