"""Whether a release is whole: there at a glance, or intact to the last byte that it serves."""

from concurrent.futures import ThreadPoolExecutor

from perennial.errors import IntegrityError
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.stores.store import Store, missing_objects

_SERVED = ("encoder/", "index/", "bridge/", "onnx/")
_READERS = 8


def present(store: Store, release_id: str, *, key: bytes | None) -> Manifest:
    """The manifest of a release whose every object is there in its size; reads no object.

    Raises BadInput where the release is not kept, IntegrityError where it is not whole.
    """
    manifest = read_manifest(store.manifest_bytes(release_id), release_id=release_id, key=key)
    missing = missing_objects(store, manifest.objects().items())
    if missing:
        raise IntegrityError(
            f"release {release_id} lacks {len(missing)} of its objects, first {missing[0]}; "
            "publish it again, or choose another release"
        )
    return manifest


def intact(store: Store, release_id: str, *, key: bytes | None) -> Manifest:
    """The same after reading every byte of the encoder and the index, as a searcher will.

    Costs one read of both, a second per gigabyte and core once the disk has delivered it; the
    references, which nothing serves, are left out.
    """
    manifest = present(store, release_id, key=key)
    served = {file.digest for path, file in manifest.files() if path.startswith(_SERVED)}
    with ThreadPoolExecutor(_READERS) as readers:  # hashing lets go of the interpreter
        for _ in readers.map(store.check, sorted(served)):
            pass
    return manifest
