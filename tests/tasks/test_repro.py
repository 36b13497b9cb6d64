"""One DVC stage at a time: what it says, what its failure means, what a killed caller leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from perennial.errors import BadInput, IntegrityError, PlaceUnusable, Refused
from perennial.workspace import Workspace
from tasks.repro import StageBroke, failure, repro
from tasks.workspace import DVC_CONFIG

STAGES = """\
stages:
  good:
    cmd: python good.py
    deps: [good.py]
    outs: [good.txt]
  bad_input:
    cmd: python bad_input.py
  sleeps:
    cmd: python sleeps.py
"""
BAD_INPUT = "import sys\nprint('perennial: the log is empty.', file=sys.stderr)\nsys.exit(2)\n"
GOOD = "from pathlib import Path\nprint('thirteen')\nPath('good.txt').write_text('13')\n"
SLEEPS = (
    "import os, time\nfrom pathlib import Path\n"
    "Path('pid.part').write_text(str(os.getpid()))\nos.rename('pid.part', 'pid')\ntime.sleep(300)\n"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "run"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(DVC_CONFIG.format(cache=tmp_path / "cache"))
    (root / "dvc.yaml").write_text(STAGES)
    (root / "good.py").write_text(GOOD)
    (root / "bad_input.py").write_text(BAD_INPUT)
    (root / "sleeps.py").write_text(SLEEPS)
    return Workspace(root)


def pid_of_sleeper(workspace: Workspace) -> int:
    """The sleeping stage's process, as soon as it runs."""
    path = workspace.root / "pid"
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return int(path.read_text())


def is_gone(pid: int) -> bool:
    """True where the process has ended; a container without an init keeps orphans as zombies."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_stage_runs_once_says_what_it_does_and_is_then_up_to_date(workspace: Workspace) -> None:
    said: list[str] = []
    first = repro(workspace, "good", timeout_seconds=60, say=said.append)
    again = repro(workspace, "good", timeout_seconds=60, say=lambda line: None)
    assert (workspace.root / "good.txt").read_text() == "13"
    assert said == ["thirteen"]
    assert (first.ran, again.ran) == (True, False)


def test_bad_input_keeps_its_kind_and_its_sentence(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match=r"^the log is empty\.$"):
        repro(workspace, "bad_input", timeout_seconds=60, say=lambda line: None)


@pytest.mark.slow
def test_a_stage_past_its_deadline_dies_with_all_its_children(workspace: Workspace) -> None:
    began = time.monotonic()
    with pytest.raises(StageBroke, match="sleeps did not end within 4 s"):
        repro(workspace, "sleeps", timeout_seconds=4, say=lambda line: None)
    assert time.monotonic() - began < 20
    assert is_gone(int((workspace.root / "pid").read_text()))


@pytest.mark.slow
def test_a_stage_does_not_outlive_a_killed_caller(workspace: Workspace) -> None:
    program = (
        "from pathlib import Path\nfrom perennial.workspace import Workspace\n"
        "from tasks.repro import repro\n"
        f"workspace = Workspace(Path({str(workspace.root)!r}))\n"
        "repro(workspace, 'sleeps', timeout_seconds=300, say=print)\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", program])
    pid = pid_of_sleeper(workspace)
    assert not is_gone(pid)
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    deadline = time.monotonic() + 10
    while not is_gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_gone(pid)


@pytest.mark.parametrize(
    ("code", "kind"), [(1, Refused), (2, BadInput), (3, IntegrityError), (-9, StageBroke)]
)
def test_an_exit_code_has_a_meaning(code: int, kind: type[Exception]) -> None:
    lines = [
        "perennial: it is so.",
        f"ERROR: failed to reproduce 'x': failed to run: c, exited with {code}",
    ]
    assert type(failure("x", lines)) is kind
    assert "it is so." in str(failure("x", lines))


def test_a_crash_is_not_a_refusal() -> None:
    lines = [
        "Traceback (most recent call last):",
        "MemoryError",
        "ERROR: failed to reproduce 'x': failed to run: c, exited with 1",
    ]
    assert isinstance(failure("x", lines), StageBroke)


def test_a_full_disk_is_named() -> None:
    lines = ["ERROR: unexpected error - [Errno 28] No space left on device: '/cache/x'"]
    error = failure("train", lines)
    assert isinstance(error, PlaceUnusable)
    assert "No space left" in str(error) and "make room" in str(error)
