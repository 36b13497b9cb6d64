"""A verb as a person calls it: through the command line, with a home of its own."""

import shutil

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
