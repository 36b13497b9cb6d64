"""From the store to a folder that an encoder and an index can be opened from."""

import secrets
import shutil
from pathlib import Path

from perennial.release.durable import TEMPORARY_SUFFIX, locked, usable, write_atomically
from perennial.release.folder import index_json, is_whole
from perennial.release.manifest import Manifest, read_manifest
from perennial.release.store import Store


def materialise(
    store: Store, release_id: str, directory: Path, *, key: bytes | None = None
) -> Manifest:
    """Write encoder/, index/, references/ and manifest.json, every byte verified before it counts.

    The folder appears at once or not at all. One that is whole is used again; one that is not is
    replaced. Raises IntegrityError, and PlaceUnusable for the folder.
    """
    manifest = read_manifest(store.manifest_bytes(release_id), release_id=release_id, key=key)
    with usable(directory.parent):
        if is_whole(manifest, directory):
            return manifest
        directory.parent.mkdir(parents=True, exist_ok=True)
        with locked(directory.parent):
            if not is_whole(manifest, directory):  # another process may have built it meanwhile
                _build(store, manifest, directory)
    return manifest


def _build(store: Store, manifest: Manifest, directory: Path) -> None:
    building, aside = _beside(directory), _beside(directory)
    try:
        for path, file in manifest.files():
            store.fetch(file.digest, building / path)
        write_atomically(building / "index" / "index.json", [index_json(manifest)])
        write_atomically(building / "manifest.json", [manifest.to_bytes()])
        if directory.is_dir():
            directory.rename(aside)
        building.rename(directory)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def _beside(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.{secrets.token_hex(6)}{TEMPORARY_SUFFIX}")
