"""A closed store, a full disk, a killed stage: one sentence, and a re-run goes on."""

import shutil
import signal
import subprocess
import sys
import time

import pytest
from person import User, said
from small import STAGES, module_of, write_params

from perennial.model.digest import directory_digest

# Root ignores permission bits, and nobody may not read root's libraries: import, then change.
AS_NOBODY = """
import os, sys
import perennial.verbs.bootstrap, perennial.verbs.source
import perennial.serving.excerpts, perennial.serving.searcher
from perennial.cli import main
if os.getuid() == 0:
    os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def open_folder(company):
    """A folder below which nobody, too, may look; pytest's own are closed to him."""
    from tiny_release import fast_folder

    with fast_folder() as place:
        place.chmod(0o755)
        for name in ("source", "store"):
            shutil.copytree(company / name, place / "home" / name)
        write_params(place / "params.yaml")
        yield place
        for path in [place, *place.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


@pytest.mark.slow
def test_a_read_only_store_is_said_and_still_searched(open_folder, warm):
    user = User(open_folder, open_folder / "home", warm)
    store = user.home / "store"
    assert user.perennial("snapshot").returncode == 0
    encoder = str(user.folder / "snapshot" / "champion" / "encoder")
    for path in [*user.home.rglob("*"), *user.folder.rglob("snapshot/**/*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in [store, *store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (open_folder / "cache").mkdir()
    (open_folder / "cache").chmod(0o777)
    environment = user.place()["env"] | {"PERENNIAL_CACHE": str(open_folder / "cache")}
    before = directory_digest(store)
    again = ["bootstrap", "--channel", "staging", "--encoder", encoder]
    answer = user.python("-c", AS_NOBODY, *again, env=environment)
    assert answer.returncode == 2
    assert f"{store} is read-only or closed to this user; change its permissions" in said(answer)
    found = user.python("-c", AS_NOBODY, "search", "anything", "--json", env=environment)
    assert found.returncode == 0, found.stderr
    assert directory_digest(store) == before
    for path in [store, *store.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    done = user.python("-c", AS_NOBODY, *again, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["bootstrap", "--channel", "staging"], ["snapshot"]])
@pytest.mark.parametrize("size", [100, 20_000])
def test_a_full_disk_is_said_and_a_rerun_succeeds(user, arguments, size):
    before = user.channel()
    answer = user.perennial(*arguments, file_limit=size)
    assert answer.returncode == 2, answer
    assert "free some space" in said(answer)
    assert user.channel() == before
    assert not (user.folder / "snapshot").exists()
    assert user.perennial(*arguments).returncode == 0
    assert user.perennial("verify").returncode == 0


@pytest.mark.slow
def test_a_full_disk_stops_any_stage_with_a_sentence_and_a_rerun_gives_the_same_bytes(
    trained_workspace, tmp_path, warm
):
    shutil.copytree(trained_workspace, tmp_path / "workspace")
    user = User(tmp_path / "workspace", tmp_path / "home", warm)
    for stage in STAGES:
        shutil.rmtree(user.folder / "work" / stage, ignore_errors=True)
        wanted = directory_digest(user.folder / "artifacts" / stage)
        for size in (8, 700):  # 8: some libraries, when imported, try four bytes in /tmp
            answer = user.stage(stage, file_limit=size)
            assert answer.returncode == 2, (stage, size, answer.stderr)
            assert "free some space" in said(answer)
        assert user.stage(stage).returncode == 0
        assert directory_digest(user.folder / "artifacts" / stage) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_in_its_work_leaves_nothing_that_a_rerun_could_mistake(
    trained_workspace, tmp_path, warm, stage
):
    shutil.copytree(trained_workspace, tmp_path / "workspace")
    user = User(tmp_path / "workspace", tmp_path / "home", warm)
    wanted = directory_digest(user.folder / "artifacts")
    for part in ("artifacts", "work"):
        shutil.rmtree(user.folder / part / stage, ignore_errors=True)
    for wait in (0.0, 0.05, 0.1, 0.2):
        process = subprocess.Popen(
            [sys.executable, "-m", module_of(stage)], **user.place(), stderr=subprocess.DEVNULL
        )
        begun = user.folder / ("work" if stage == "validate" else "artifacts") / stage
        while process.poll() is None and not begun.exists():
            time.sleep(0.002)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert user.stage(stage).returncode == 0
    assert directory_digest(user.folder / "artifacts") == wanted
