"""A release as a folder: what stands where, and the one file in it that is not an object."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from perennial.model.digest import file_digest
from perennial.release.manifests.canonical import FORMAT_VERSION, canonical_json
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.durable import temporary_beside

_READERS = 4  # more would take the cores from the queries of whoever serves meanwhile
_WORTH_BYTES = 16 << 20  # below, starting threads costs the queries more than the reading


def index_json(manifest: Manifest) -> bytes:
    """The bytes of index/index.json, which the manifest holds in its own words."""
    index = manifest.index
    waiting = [
        {"ids": each.ids.path, "lexical": each.lexical.path, "rows": each.rows}
        for each in index.waiting
    ]
    return canonical_json(
        {
            "format_version": FORMAT_VERSION,
            "encoder": manifest.index_encoder,
            "dimension": manifest.index_dimension,
            "metric": manifest.encoder.metric,
            "dtype": manifest.encoder.dtype,
            "factory": index.factory,
            "search": index.search,
            "quantizer": index.quantizer.path if index.quantizer else None,
            "segments": [
                {
                    "vectors": segment.vectors.path,
                    "ids": segment.ids.path,
                    "tombstones": segment.tombstones.path if segment.tombstones else None,
                    "rows": segment.rows,
                    "live": segment.live,
                }
                | ({"lexical": segment.lexical.path} if segment.lexical else {})
                for segment in index.segments
            ],
        }
        | ({"waiting": waiting} if waiting else {})
    )


def is_whole(
    manifest: Manifest, directory: Path, *, digest_of: Callable[[Path], str] = file_digest
) -> bool:
    """True where the folder holds exactly the release's files, every byte of them right."""
    if not directory.is_dir():
        return False
    expected = {path: file.digest for path, file in manifest.files()}
    written = {"manifest.json": manifest.to_bytes(), "index/index.json": index_json(manifest)}
    there = {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    if there != expected.keys() | written.keys():
        return False
    if any((directory / path).read_bytes() != data for path, data in written.items()):
        return False
    with mapping(file.bytes for _, file in manifest.files()) as each:
        found = each(digest_of, [directory / path for path in expected])
        return all(map(str.__eq__, found, expected.values()))


@contextlib.contextmanager
def mapping(sizes: Iterable[int]) -> Iterator[Callable[..., Iterator[Any]]]:
    """`map`, or where files of so many bytes are worth it one that reads several at once: reading
    and hashing let go of the interpreter."""
    if sum(sizes) < _WORTH_BYTES:
        yield map
        return
    with ThreadPoolExecutor(_READERS) as readers:
        yield readers.map


def put_in_place(building: Path, directory: Path) -> None:
    """Rename the folder that was built to where it is read, over the one that is there."""
    aside = temporary_beside(directory)
    try:
        if directory.is_dir():
            directory.rename(aside)
        building.rename(directory)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
