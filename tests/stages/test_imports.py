"""What takes seconds to import stays out of the stages that do not need it."""

import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
PROGRAM = """
import runpy, sys
runpy.run_module("perennial.stages.{stage}", run_name="__main__")
print(*sys.modules)
"""


@pytest.mark.parametrize(
    ("stage", "idle"),
    [
        ("judge", {"torch", "scipy.stats", "scipy.optimize"}),
        ("mine", {"torch", "scipy.stats"}),
        ("train", {"torch._dynamo", "torch.fx.experimental.symbolic_shapes"}),
        ("evaluate", {"torch"}),
    ],
)
def test_a_stage_imports_nothing_for_nothing(stage, idle, trained_workspace, tmp_path):
    root = shutil.copytree(trained_workspace, tmp_path / "workspace")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(stage=stage)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert idle & set(done.stdout.split()) == set()
