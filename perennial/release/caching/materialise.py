"""From the store to a folder of one's own, such as the champion of a workspace.

Every file is a copy, never a link: whatever is written into the folder, by root too, no byte of the
store or of a reader's cache changes with it.
"""

import shutil
from pathlib import Path

from perennial.release.manifests.folder import index_json, is_whole, put_in_place
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.stores.durable import locked, temporary_beside, usable, write_atomically
from perennial.release.stores.store import Progress, Store, silent


def materialise(
    store: Store,
    release_id: str,
    directory: Path,
    *,
    key: bytes | None = None,
    progress: Progress = silent,
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
                _build(store, manifest, directory, progress)
    return manifest


def _build(store: Store, manifest: Manifest, directory: Path, progress: Progress) -> None:
    building = temporary_beside(directory)
    try:
        for path, file in manifest.files():
            store.fetch(file.digest, building / path, progress=progress)
            _make_own(building / path)
        write_atomically(building / "index" / "index.json", [index_json(manifest)])
        write_atomically(building / "manifest.json", [manifest.to_bytes()])
        put_in_place(building, directory)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _make_own(path: Path) -> None:
    """Replace a link to a file of the store by a copy of it."""
    if path.stat().st_nlink > 1:
        copy = temporary_beside(path)
        shutil.copyfile(path, copy)
        copy.replace(path)
    else:
        path.chmod(0o644)
