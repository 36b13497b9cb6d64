"""Three tiny releases, made once: two indexes of one lineage, and one of another."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.publish import promote
from perennial.release.stores.local import LocalStore

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
def reindexed(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """The encoder of `first` with a newer catalogue."""
    root = tmp_path_factory.mktemp("reindexed")
    return write_folders(root, lineage=1, tag="reindexed", documents=45, day=1)


@pytest.fixture(scope="session")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Another encoder."""
    root = tmp_path_factory.mktemp("retrained")
    return write_folders(root, lineage=2, tag="retrained", documents=50, day=2)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def serving(store: LocalStore, first: Folders) -> Manifest:
    """The store, in which production serves `first`."""
    manifest = publish_folders(store, first)
    promote(store, "production", manifest.release_id, now=NOON, why="first", who="test")
    return manifest


@pytest.fixture
def publish_tiny(store: LocalStore) -> Callable[..., Manifest]:
    """`publish_tiny(folders, parent=…, key=…)` into the store."""
    return lambda folders, **options: publish_folders(store, folders, **options)
