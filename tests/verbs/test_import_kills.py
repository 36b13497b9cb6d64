"""An import that is killed anywhere leaves the old source or the new one, and nothing between."""

import os
import shutil
import signal
import subprocess
import sys
from itertools import count

import pyarrow.parquet as pq
import pytest

from perennial.verbs.arriving import arriving, settle

DIES = """
import os, signal, sys
from perennial.cli import main

left, home = [int(sys.argv[1])], sys.argv[2]
changes = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")

def hook(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_WRONLY
    if (event in changes or writes) and str(arguments[0]).startswith(home):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
sys.exit(main(["import", "parquet", "--path", sys.argv[3]]))
"""


def read(source):
    """Every file that counts, after what a reader does first."""
    settle(source)
    found = {p.relative_to(source): p for p in source.rglob("*.parquet")}
    return {
        name: path.read_bytes() for name, path in found.items() if not name.parts[0].startswith(".")
    }


@pytest.fixture
def folders(world, make_world, tmp_path):
    """(what was imported before, what is imported now)."""
    first = make_world(seed=3).write_source(tmp_path / "first")
    return first, world.write_source(tmp_path / "second")


def die_everywhere(tmp_path, environment, first, second, *, stride=1):
    """What each killed import left of its source: `old`, or `new`, in the order of the steps."""
    home, saved = tmp_path / "home", tmp_path / "saved"

    def run(kill_at, path):
        command = [sys.executable, "-c", DIES, str(kill_at), str(home), str(path)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    run(0, first)
    old = read(home / "source")
    shutil.copytree(home, saved)
    run(0, second)
    new = read(home / "source")
    assert old.keys() == new.keys() and all(old[name] != new[name] for name in old)
    seen = []
    for step in count(1, stride):
        shutil.rmtree(home)
        shutil.copytree(saved, home)
        code = run(step, second)
        found = read(home / "source")
        assert found in (old, new), step
        seen.append("new" if found == new else "old")
        if code == 0:
            break
    assert seen == sorted(seen, reverse=True) and {"old", "new"} == set(seen)
    run(0, first)  # what a killed import left is in nobody's way
    assert read(home / "source") == old
    assert [path.name for path in home.iterdir()] == ["source"]
    return seen


@pytest.mark.slow
def test_an_import_killed_at_any_change_leaves_the_old_source_or_the_new_one(
    run, home, folders, tmp_path
):
    environment = os.environ | {"PERENNIAL_HOME": str(home)}
    seen = die_everywhere(tmp_path, environment, *folders)
    assert seen.count("new") > 5, "killed between the moves into place, too"


@pytest.mark.slow
def test_an_import_from_a_bucket_killed_while_it_downloads_leaves_the_old_source(
    home, folders, s3_server, tmp_path
):
    bucket = s3_server.new_bucket()
    for path in folders[1].rglob("*.parquet"):
        key = f"logs/{path.relative_to(folders[1])}"
        s3_server.client().put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    environment = os.environ | s3_server.environment() | {"PERENNIAL_HOME": str(home)}
    seen = die_everywhere(tmp_path, environment, folders[0], f"s3://{bucket}/logs", stride=3)
    assert seen.count("old") > 5


def test_what_arrived_as_a_whole_counts_and_what_had_not_yet_does_not(tmp_path):
    source = tmp_path / "source"
    with pytest.raises(KeyboardInterrupt), arriving(source) as incoming:
        (incoming / "catalogue.parquet").write_bytes(b"half")
        raise KeyboardInterrupt
    assert not list(source.iterdir())
    (source / ".arrived" / "requests").mkdir(parents=True)
    (source / ".arrived" / "requests" / "imported.parquet").write_bytes(b"whole")
    settle(source)
    settle(source)
    assert [p.relative_to(source).as_posix() for p in source.rglob("*")] == [
        "requests",
        "requests/imported.parquet",
    ]


def test_a_damaged_file_of_an_import_leaves_the_old_source(run, home, folders):
    assert run("import", "parquet", "--path", folders[0])[0] == 0
    before = read(home / "source")
    path = folders[1] / "impressions" / "part-0000.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    assert run("import", "parquet", "--path", folders[1])[0] == 2
    assert read(home / "source") == before
    assert pq.read_table(home / "source" / "requests" / "imported.parquet").num_rows
