"""The default's own training: the stage train of a first retrain on apidocs, process and all."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_VERBS = (("import", "apidocs"), ("bootstrap",), ("simulate",), ("snapshot",))
_STAGES = ("expectations", "perennial.stages.judge", "perennial.stages.mine", "expectations.audit")


def stage_seconds(home: Path) -> float:
    """Seconds of `python -m perennial.stages.train` in a workspace made by hand, as README says."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    shutil.copy("params.yaml", home)
    code = str(Path.cwd())
    environment = os.environ | {"PERENNIAL_HOME": str(home / "state"), "PYTHONPATH": code}
    for verb in _VERBS:
        _run(["perennial.cli", *verb], home, environment)
    for stage in _STAGES:
        _run([stage], home, environment)
    began = time.perf_counter()
    _run(["perennial.stages.train"], home, environment)
    return time.perf_counter() - began


def _run(module: list[str], home: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=home,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(module)} ended with {done.returncode}; nothing is measured")
