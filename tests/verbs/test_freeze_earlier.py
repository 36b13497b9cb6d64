"""Which releases a snapshot freezes beside the champion's, so that a candidate is held to them."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tiny_release import NOON, publish_folders, write_folders

from perennial.model.digest import directory_digest
from perennial.release.channels.moves import promote
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.publish import read_checked_channel, rollback
from perennial.release.stores.local import LocalStore
from perennial.verbs.freezing.earlier import freeze_earlier


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def serve(store, tmp_path):
    """`serve(lineage, day)`: a release of that encoder and catalogue, promoted."""
    made = []

    def promoted(lineage: int, day: int = 0) -> Manifest:
        folders = write_folders(
            tmp_path / f"made-{len(made)}", lineage=lineage, documents=30 + day, day=day
        )
        manifest = publish_folders(store, folders)
        made.append(manifest)
        now = NOON + timedelta(hours=len(made))
        promote(store, "production", manifest.release_id, now=now, why="a test", who="a test")
        return manifest

    return promoted


def frozen(store: LocalStore, to: Path, lineages: int) -> list[str]:
    channel = read_checked_channel(store, "production", key=None)
    assert channel is not None
    about = json.loads(freeze_earlier(store, channel, to, lineages=lineages, key=None).read_text())
    ids = [each["release_id"] for each in about["releases"]]
    assert sorted(p.name for p in (to / "earlier").iterdir() if p.is_dir()) == sorted(ids)
    return ids


def test_of_each_lineage_before_the_champions_its_newest_release_is_frozen(store, serve, tmp_path):
    serve(0)
    first = serve(0, day=1)
    second = serve(1, day=1)
    serve(2, day=1)
    serve(2, day=2)
    assert frozen(store, tmp_path / "two", 2) == [second.release_id, first.release_id]
    assert frozen(store, tmp_path / "one", 1) == [second.release_id]
    assert frozen(store, tmp_path / "none", 0) == []
    encoder = tmp_path / "two" / "earlier" / first.release_id / "encoder"
    assert directory_digest(encoder) == first.lineage


def test_before_the_first_retrain_there_is_nothing_earlier(store, serve, tmp_path):
    serve(0)
    assert frozen(store, tmp_path / "to", 2) == []


def test_what_a_rollback_left_behind_is_no_measure(store, serve, tmp_path):
    first = serve(0)
    second = serve(1)
    bad = serve(2)
    rollback(store, "production", now=NOON + timedelta(days=1), why="it was bad", who="a test")
    assert frozen(store, tmp_path / "to", 5) == [first.release_id]
    assert bad.lineage != second.lineage


def test_a_damaged_release_is_left_out_and_named(store, serve, tmp_path):
    first, second = serve(0), serve(1)
    serve(2)
    digest = second.index.segments[0].vectors.digest.removeprefix("sha256:")
    path = next(store.root.rglob(digest))
    path.chmod(0o644)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert frozen(store, tmp_path / "to", 2) == [first.release_id]
    about = json.loads((tmp_path / "to" / "earlier" / "earlier.json").read_text())
    assert [each["release_id"] for each in about["damaged"]] == [second.release_id]


def test_equal_stores_freeze_equal_bytes(store, serve, tmp_path):
    serve(0)
    serve(1)
    for name in ("one", "two"):
        frozen(store, tmp_path / name, 2)
    assert directory_digest(tmp_path / "one") == directory_digest(tmp_path / "two")
