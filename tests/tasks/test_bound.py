"""What is run of a pulled run is what its dvc.lock says; all else of it says nothing."""

import pytest

from perennial.errors import IntegrityError
from tasks.bound import check_bound, remove_unbound

LOCK = """\
schema: '2.0'
stages:
  copy:
    cmd: python -m perennial.copy_it
    deps:
    - {path: perennial/copy_it.py, hash: md5, md5: aa, size: 1}
    - {path: snapshot/champion/encoder, hash: md5, md5: bb.dir, size: 1, nfiles: 1}
    outs:
    - {path: copied.txt, hash: md5, md5: cc, size: 1}
    - {path: curve.csv, hash: md5, md5: dd, size: 1}
"""
STAGES = """\
stages:
  copy:
    cmd: python -m perennial.copy_it
    deps: [perennial/copy_it.py, "${train.base}"]
    outs: [copied.txt]
    plots: [curve.csv: {x: step}]
"""
FOLDERS = {"perennial": {"copy_it.py": "aa", "cli.py": "ee"}, "snapshot": {}}


def test_what_was_run_then_is_run_now():
    check_bound(LOCK, STAGES, FOLDERS, what="run 1")


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("copy_it\n", "other\n"),
        ("  copy:", "  another:"),
        ("[copied.txt]", "[copied.txt, /home]"),
        ("    outs", "    wdir: snapshot\n    outs"),
        ("stages:", "vars: [other.yaml]\nstages:"),
        (STAGES, "stages: [copy]"),
        (STAGES, "]"),
    ],
)
def test_a_stage_that_does_anything_else_is_refused(was, now):
    assert was in STAGES
    with pytest.raises(IntegrityError, match="of run 1"):
        check_bound(LOCK, STAGES.replace(was, now), FOLDERS, what="run 1")


@pytest.mark.parametrize("code", [{"copy_it.py": "ab"}, {}])
def test_code_that_is_not_that_of_then_is_refused(code):
    with pytest.raises(IntegrityError, match=r"perennial/copy_it\.py of run 1 is not"):
        check_bound(LOCK, STAGES, FOLDERS | {"perennial": code}, what="run 1")


def test_code_that_nobody_vouches_for_goes(tmp_path):
    for path, text in {
        "perennial/copy_it.py": "import this",
        "perennial/__init__.py": '"""A package."""',
        "perennial/deep/__init__.py": "import os",
        "perennial/__pycache__/copy_it.cpython-311.pyc": "",
        "expectations/__init__.py": "",
        "snapshot/copied.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    remove_unbound(tmp_path, LOCK)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py*")}
    assert left == {"perennial/copy_it.py", "perennial/__init__.py",
                    "expectations/__init__.py", "snapshot/copied.py"}  # fmt: skip
