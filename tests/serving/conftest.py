"""A store in which production serves a tiny release, and newer ones wait."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.publishing.publish import promote
from perennial.release.stores.local import LocalStore

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_increment import publish_increment
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


@pytest.fixture
def swap(store: LocalStore) -> Callable[[str], None]:
    """`swap(release_id)`: production serves that one from now on."""

    def swap(release_id: str) -> None:
        current = store.read_channel("production")
        after = replace(
            current,
            generation=current.generation + 1,
            write_id=f"{current.generation + 1:032x}",
            stable=release_id,
            mask=None,
        )
        store.compare_and_swap("production", current, after.signed(None))

    return swap


@pytest.fixture
def reindex(store: LocalStore, tmp_path: Path) -> Callable[..., str]:
    """`reindex(add=…, remove=…)`: the id of a published successor of what production serves."""

    def reindex(*, add: dict[str, str] | None = None, remove: frozenset[str] = frozenset()) -> str:
        stable = store.read_channel("production").stable
        parent: Manifest = read_manifest(store.manifest_bytes(stable), release_id=stable)
        to = tmp_path / f"increment-{len(store.release_ids())}"
        return publish_increment(store, parent, to, add=add or {}, remove=remove).release_id

    return reindex
