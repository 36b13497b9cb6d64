"""Notes: whatever stops their writer, the next run finds one that it can read."""

import multiprocessing
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

import flows
import tasks
from perennial.workspace import Workspace
from tasks.notes import write_json, write_note
from tasks.seconds import add_wall, seconds_of


def on_a_full_disk(write: Callable[[], None], refused) -> None:
    """`write` where no file may grow beyond ten bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    try:
        write()
    except OSError:
        refused.set()


@pytest.mark.parametrize(
    "write",
    [
        lambda root: write_note(root / "work" / "train" / "seconds.json", "x" * 100),
        lambda root: write_json(root / "work" / "train" / "seconds.json", {"wall": 10**9}),
        lambda root: add_wall(Workspace(root), "train", 10.0**9),
    ],
)
def test_a_full_disk_leaves_the_note_that_was_there(tmp_path: Path, write) -> None:
    workspace = Workspace(tmp_path)
    add_wall(workspace, "train", 2.0)
    before = list(tmp_path.rglob("*"))
    context = multiprocessing.get_context("fork")
    refused = context.Event()
    child = context.Process(target=on_a_full_disk, args=(lambda: write(tmp_path), refused))
    child.start()
    child.join(30)
    assert refused.is_set()
    assert seconds_of(workspace)["train"]["wall"] == 2.0
    assert list(tmp_path.rglob("*")) == before


def test_nothing_is_written_in_place():
    inside = {"workspace.py"}  # a folder that nobody sees before it is whole
    paths = [*Path(tasks.__path__[0]).glob("*.py"), *Path(flows.__path__[0]).glob("*.py")]
    found = {path.name for path in paths if ".write_text(" in path.read_text()}
    assert found - inside == set()
