"""A workspace per retrain: named by its input, alone, and complete enough to run by itself."""

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from perennial.errors import PlaceUnusable, Refused
from perennial.verbs.forgetting.making import nobody_makes
from perennial.workspace import Workspace
from tasks.run import working_in
from tasks.workspace import alone_in, checkout, prepare_workspace


def prepare(tmp_path: Path, *, snapshot: str = "sha256:01", params: str = "a: 1\n") -> Workspace:
    written = tmp_path / "params.yaml"
    written.write_text(params)

    def take_snapshot(folder: Path) -> str:
        folder.mkdir()
        (folder / "catalogue.parquet").write_text(snapshot)
        return snapshot

    return prepare_workspace(tmp_path / "runs", tmp_path / "cache", written, take_snapshot)


def test_equal_input_finds_the_same_folder_and_what_was_done_there(tmp_path):
    first = prepare(tmp_path)
    (first.root / "work").mkdir()
    again = prepare(tmp_path)
    assert again.root == first.root
    assert (again.root / "work").is_dir()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [first.root.name]


def test_another_snapshot_or_other_params_are_another_folder(tmp_path):
    roots = {
        prepare(tmp_path).root,
        prepare(tmp_path, snapshot="sha256:02").root,
        prepare(tmp_path, params="a: 2\n").root,
    }
    assert len(roots) == 3


def test_a_workspace_holds_the_code_and_no_compiled_files(tmp_path):
    root = prepare(tmp_path).root
    for name in ("perennial/errors.py", "expectations/__main__.py", "dvc.yaml", ".dvc/config"):
        assert (root / name).is_file()
    assert not list(root.rglob("__pycache__"))
    assert (root / "dvc.yaml").read_bytes() == (checkout() / "dvc.yaml").read_bytes()


def test_nobody_forgets_a_session_while_a_run_is_being_made(tmp_path):
    seen = []

    def take(folder):
        with nobody_makes(tmp_path / "runs") as is_so:
            seen.append(is_so)
        folder.mkdir()
        return "sha256:1"

    (tmp_path / "params.yaml").write_text("seed: 1\n")
    place = tmp_path / "runs", tmp_path / "cache", tmp_path / "params.yaml"
    workspace = prepare_workspace(*place, take)
    with nobody_makes(tmp_path / "runs") as is_so:
        assert (seen, is_so) == ([False], True)
    workspace.forgotten.write_text("{}")
    with pytest.raises(Refused, match="taken out"), working_in(workspace, "production"):
        pass


def test_a_failed_snapshot_leaves_nothing(tmp_path):
    (tmp_path / "params.yaml").write_text("")

    def fail(folder: Path) -> str:
        raise Refused("no log")

    with pytest.raises(Refused, match="no log"):
        prepare_workspace(tmp_path / "runs", tmp_path / "cache", tmp_path / "params.yaml", fail)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(PlaceUnusable, match=r"runs.*PERENNIAL_RUNS"):
        prepare(tmp_path)


def test_a_disk_that_fills_up_while_the_code_is_copied_is_told_and_leaves_nothing(tmp_path):
    def fill(folder: Path) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    (tmp_path / "params.yaml").write_text("")
    with pytest.raises(PlaceUnusable, match=r"No space left.*start again"):
        prepare_workspace(tmp_path / "runs", tmp_path / "cache", tmp_path / "params.yaml", fill)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_second_process_is_refused_and_told_who_works_there(tmp_path):
    workspace = Workspace(tmp_path)
    ready, done = multiprocessing.Event(), multiprocessing.Event()
    other = multiprocessing.Process(target=hold, args=(workspace, ready, done))
    other.start()
    assert ready.wait(30)
    with pytest.raises(Refused, match=f"process {other.pid} already works in"), alone_in(workspace):
        pass
    done.set()
    other.join(30)
    with alone_in(workspace):
        pass


def hold(workspace: Workspace, ready, done) -> None:
    with alone_in(workspace):
        ready.set()
        done.wait(30)
