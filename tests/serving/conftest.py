"""A store in which production serves a tiny release, and a newer one waits."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perennial.release.local import LocalStore
from perennial.release.publish import promote

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_release import NOON, Folders, fast_folder, publish_folders, write_folders


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with fast_folder() as place:
        yield place


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return write_folders(tmp_path_factory.mktemp("first"), lineage=1, tag="first")


@pytest.fixture(scope="session")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("retrained")
    return write_folders(root, lineage=2, tag="retrained", documents=50)


@pytest.fixture
def store(tmp_path: Path, first: Folders) -> LocalStore:
    store = LocalStore(tmp_path / "store")
    manifest = publish_folders(store, first)
    promote(store, "production", manifest.release_id, now=NOON, why="first", who="test")
    return store


@pytest.fixture
def newer(store: LocalStore, retrained: Folders) -> str:
    """The id of a published release of another lineage, not promoted yet."""
    return publish_folders(store, retrained).release_id
