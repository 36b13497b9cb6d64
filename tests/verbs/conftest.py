"""A verb as a person calls it: through the command line, with a home of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perennial.cli import main


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty PERENNIAL_HOME, and a current folder with a small params.yaml."""
    from small import write_params

    for name in ("STORE", "SOURCE", "RUNS", "CACHE", "SIGNING_KEY", "SESSION_KEY", "DVC_REMOTE"):
        monkeypatch.delenv(f"PERENNIAL_{name}", raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("PERENNIAL_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml")
    return home


@pytest.fixture
def running(home, company):
    """A home of its own with a source, a log and a serving champion."""
    for name in ("source", "store"):
        shutil.copytree(company / name, home / name)
    return home


@pytest.fixture
def run(capsys):
    """`run("snapshot", …)`: the exit code, stdout and stderr."""

    def run_verb(*arguments):
        code = main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return run_verb


@pytest.fixture
def killed_verb(tmp_path):
    """`killed_verb(folder, "snapshot", stride=…)`: copies of the folder in which the verb was
    killed, each one change later, in order."""

    def kill(folder, *verb, stride=1):
        graves = tmp_path / "graves"
        program = Path(__file__).with_name("killed_verb.py")
        done = subprocess.run(
            [sys.executable, str(program), str(folder), str(graves), str(stride), *verb],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return sorted(graves.iterdir())

    return kill
