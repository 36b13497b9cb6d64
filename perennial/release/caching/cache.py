"""What a reader keeps on its own disk: each object once, and release folders of links to them.

    objects/<aa>/<hex>   verified, read-only, shared by all releases that name them
    releases/<id>/       encoder/, index/, references/, manifest.json
    channels/<hex>.json  the channels that were served last, for a start without their store

Any number of processes may share it. Whoever opens a release holds `.lock` shared until the release
is marked as in use, whoever evicts holds it alone; the kernel lets go for those that are killed.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from perennial.errors import IntegrityError, PerennialError
from perennial.release.caching.trusted import TrustedFiles
from perennial.release.manifests.folder import index_json, is_whole, mapping, put_in_place
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.stores.durable import temporary_beside, usable, write_atomically
from perennial.release.stores.store import Store

_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES}
Fetching = Callable[[int, int], None]
"""Is told how many bytes are here of how many that were missing."""


def unseen(done: int, total: int) -> None:
    """The progress that nobody looks at."""


class InUse:
    """A mark on a file: while this object lives, no process evicts the folder of the file."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)


@dataclass(frozen=True)
class CachedRelease:
    """A whole release folder, every byte of it verified by this process."""

    manifest: Manifest
    directory: Path
    in_use: InUse


class ReleaseCache:
    """Fetches what it lacks: a new release of a lineage costs only the objects that are new."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trusted = TrustedFiles()

    def open(
        self,
        store: Store,
        release_id: str,
        *,
        key: bytes | None = None,
        progress: Fetching = unseen,
    ) -> CachedRelease:
        """The release's folder; asks the store only for what is not here, whole.

        Raises IntegrityError, PlaceUnusable for the cache, and whatever keeps the store away.
        """
        directory = self.root / "releases" / release_id
        with usable(self.root), self.held("lock", fcntl.LOCK_SH):
            manifest = self._manifest(store, release_id, key)
            if not is_whole(manifest, directory, digest_of=self.trusted.digest):
                with self.held("building", fcntl.LOCK_EX):  # nobody fetches the same beside us
                    if not is_whole(manifest, directory, digest_of=self.trusted.digest):
                        self._build(store, manifest, directory, progress)
            return CachedRelease(manifest, directory, InUse(directory / "manifest.json"))

    def read(self, store: Store, digest: str) -> bytes:
        """The bytes of one object, fetched where it is not here; raises IntegrityError."""
        with usable(self.root), self.held("lock", fcntl.LOCK_SH):
            if not self._has(digest):
                self._fetch(store, digest, _ignore)
            return self.object(digest).read_bytes()

    def place(self, store: Store, digest: str, to: Path) -> None:
        """Link one object to `to`, fetched where it is not here; raises IntegrityError."""
        with usable(self.root), self.held("lock", fcntl.LOCK_SH):
            if not self._has(digest):
                self._fetch(store, digest, _ignore)
            to.parent.mkdir(parents=True, exist_ok=True)
            self._link(digest, to)

    def holds(self, release_id: str) -> bool:
        """True where a folder of that release is here, whole or not."""
        return (self.root / "releases" / release_id).is_dir()

    def releases(self) -> list[str]:
        """The ids of the releases whose folders are here, whole or not."""
        return [path.name for path in self.root.glob("releases/rel-*")]

    def object(self, digest: str) -> Path:
        """Where the object is, or would be."""
        name = digest.removeprefix("sha256:")
        return self.root / "objects" / name[:2] / name

    @contextlib.contextmanager
    def held(self, name: str, how: int) -> Iterator[bool]:
        """Holds the lock of that name; with LOCK_NB it yields False where another holds it."""
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / f".{name}", os.O_RDWR | os.O_CREAT, 0o666)
        got = False
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, how)
                got = True
            yield got
        finally:
            os.close(descriptor)

    def _manifest(self, store: Store, release_id: str, key: bytes | None) -> Manifest:
        here = self.root / "releases" / release_id / "manifest.json"
        with contextlib.suppress(OSError, PerennialError):
            return read_manifest(here.read_bytes(), release_id=release_id, key=key)
        return read_manifest(store.manifest_bytes(release_id), release_id=release_id, key=key)

    def _build(self, store: Store, manifest: Manifest, directory: Path, progress: Fetching) -> None:
        building, files = temporary_beside(directory), list(manifest.files())
        self._fetch_missing(store, manifest.objects(), progress)
        try:
            for folder in {(building / path).parent for path, _ in files}:
                folder.mkdir(parents=True, exist_ok=True)
            for path, file in files:
                self._link(file.digest, building / path)
            write_atomically(building / "index" / "index.json", [index_json(manifest)])
            write_atomically(building / "manifest.json", [manifest.to_bytes()])
            put_in_place(building, directory)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _fetch_missing(self, store: Store, objects: dict[str, int], progress: Fetching) -> None:
        unknown = {d: size for d, size in objects.items() if not self._knows(d)}
        with mapping(unknown.values()) as each:
            here = dict(zip(unknown, each(self._has, unknown), strict=True))
            missing = [digest for digest in unknown if not here[digest]]
            done, total = 0, sum(unknown[digest] for digest in missing)

            def count(more: int) -> None:
                nonlocal done
                done += more
                progress(done, total)

            for _ in each(lambda digest: self._fetch(store, digest, count), missing):
                pass

    def _knows(self, digest: str) -> bool:
        return self.trusted.known(self.object(digest)) == digest

    def _has(self, digest: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return self.trusted.digest(self.object(digest)) == digest
        return False

    def _fetch(self, store: Store, digest: str, count: Callable[[int], None]) -> None:
        store.fetch(digest, self.object(digest), progress=count)
        self.trusted.believe(self.object(digest), digest)

    def _link(self, digest: str, to: Path) -> None:
        try:
            os.link(self.object(digest), to)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(self.object(digest), to)
        if self.trusted.digest(to) != digest:
            raise IntegrityError(f"{to} does not hold {digest}; look at the disk of {self.root}")


def _ignore(done: int) -> None:
    pass
