"""Whatever is killed, starved or overtaken: readers see a whole release, and a re-run succeeds."""

import json
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from tiny_release import NOON, publish_folders

from perennial.index.index import Index
from perennial.release.caching.materialise import materialise
from perennial.release.publishing.publish import promote
from perennial.release.stores.local import LocalStore
from perennial.release.verify import verify_release, verify_store

PUBLISHER = Path(__file__).with_name("publisher.py")


def start(mode, store, folders, *arguments):
    place = store.place if store.place.startswith("s3://") else str(store.root)
    command = [sys.executable, str(PUBLISHER), mode, place, str(folders.index.parent)]
    command += [json.dumps(folders.catalogue), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, umask=0o022
    )


def run(*arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=500)
    return process.returncode, out, err


def served(store, cache):
    """What a reader finds: the release_id and its index's live documents; None without channel."""
    channel = store.read_channel("production")
    if channel is None:
        return None
    assert verify_release(store, channel.stable) == []
    manifest = materialise(store, channel.stable, cache / channel.stable)
    index = Index.open(cache / channel.stable / "index", encoder_digest=manifest.encoder.digest)
    return channel.stable, index.live


def publish_again(store, folders):
    release_id = publish_folders(store, folders).release_id
    promote(store, "production", release_id, now=NOON, why="again", who="test")
    return release_id


@pytest.mark.parametrize("before", ["nothing", "a release"])
def test_a_publisher_killed_at_any_step_leaves_the_old_release_or_the_new(
    before, store, first, retrained, tmp_path
):
    if before == "a release":
        publish_again(store, first)
    old = served(store, tmp_path / "cache")
    graves = tmp_path / "graves"
    code, out, err = run("die", store, retrained, graves)
    assert code == 0, err
    deaths = out.split()
    copies = sorted(graves.iterdir())
    assert len(deaths) == len(copies)
    # a pending note, every object, the manifest and the channel: each renamed and synced twice
    objects = 8 if before == "nothing" else 4
    assert Counter(deaths)["os.rename"] >= objects + 3
    assert err.split().count("fsync") >= 2 * (objects + 3)
    assert Counter(deaths)["os.remove"] == 2  # the notes of the publication and of the move

    seen = []
    for copy in copies:
        survivor = LocalStore(copy)
        seen.append(served(survivor, tmp_path / "cache"))
        release_id = publish_again(survivor, retrained)
        assert served(survivor, tmp_path / "cache") == (release_id, 50)
        assert verify_store(survivor) == []
        assert survivor.pending() == []
    new = (release_id, 50)
    assert set(seen) <= {old, new}
    assert seen[0] == old and seen[-1] == new
    assert seen == sorted(seen, key=lambda answer: answer == new)  # once new, never old again


def test_a_reader_killed_while_it_fetches_leaves_a_whole_folder_or_none(
    store, serving, first, tmp_path
):
    graves = tmp_path / "graves"
    code, out, err = run("die-materialising", store, first, graves)
    assert code == 0, err
    assert len(out.split()) > 20
    for copy in graves.iterdir():
        if (copy / "release").exists():
            inode = (copy / "release").stat().st_ino
            materialise(store, serving.release_id, copy / "release")
            assert (copy / "release").stat().st_ino == inode
        materialise(store, serving.release_id, copy / "release")


@pytest.mark.parametrize("limit", [0, 100, 1500])
def test_a_full_disk_is_one_clear_sentence_and_a_rerun_succeeds(
    limit, store, serving, retrained, tmp_path
):
    code, _, err = run("limit", store, retrained, limit, "told")
    assert code == 2
    assert err == (
        f"PlaceUnusable: {store.root} is full; free some space there, then run the same command "
        "again\n"
    )
    assert list(store.root.rglob("*.tmp")) == []
    assert served(store, tmp_path / "cache") == (serving.release_id, 40)
    assert publish_again(store, retrained) != serving.release_id
    assert verify_store(store) == []


@pytest.mark.parametrize("limit", [0, 100, 1500])
def test_a_publisher_killed_in_the_middle_of_a_write_leaves_the_old_release(
    limit, store, serving, retrained, tmp_path
):
    code, _, _ = run("limit", store, retrained, limit, "killed")
    assert code == -signal.SIGXFSZ
    (half,) = store.root.rglob("*.tmp")
    assert half.stat().st_size <= limit
    assert served(store, tmp_path / "cache") == (serving.release_id, 40)
    publish_again(store, retrained)
    assert verify_store(store) == []


def test_a_read_only_store_is_one_clear_sentence_and_still_serves(first, retrained):
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to nobody
        store = LocalStore(Path(place) / "store")
        old = publish_again(store, first)
        folders = Path(place) / "folders"
        shutil.copytree(retrained.index.parent, folders)
        moved = type(retrained)(
            folders / "encoder", folders / "index", folders / "references", retrained.catalogue
        )
        Path(place).chmod(0o755)
        for path in [store.root, *store.root.rglob("*"), folders, *folders.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            code, _, err = run("as-nobody", store, moved)
        finally:
            for path in [store.root, *store.root.rglob("*"), folders, *folders.rglob("*")]:
                if path.is_dir():
                    path.chmod(stat.S_IRWXU)
        assert code == 2
        assert err == (
            f"PlaceUnusable: {store.root} is read-only or closed to this user; change its "
            "permissions or set another place\n"
        )
        assert served(store, Path(place) / "cache") == (old, 40)
        publish_again(store, retrained)


def test_of_two_publishers_at_once_one_wins_and_the_other_loses_nothing(
    store, serving, reindexed, retrained, tmp_path
):
    ready = tmp_path / "one is ready", tmp_path / "two is ready"
    racers = [
        start("race", store, reindexed, *ready),
        start("race", store, retrained, *reversed(ready)),
    ]
    outcomes = [(racer.communicate(timeout=240)[1], racer.returncode) for racer in racers]
    assert sorted(code for _, code in outcomes) == [0, 1]
    loser = next(i for i, (_, code) in enumerate(outcomes) if code == 1)
    assert outcomes[loser][0].startswith("Conflict: channel production was at generation 1 and is")
    channel = store.read_channel("production")
    assert channel.generation == 2
    assert len(store.release_ids()) == 3
    assert verify_store(store) == []
    if loser == 1:  # the retrained one is newer: it may still go on top
        publish_again(store, retrained)
        assert store.read_channel("production").generation == 3
