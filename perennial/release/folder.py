"""A release as a folder: what stands where, and the one file in it that is not an object."""

from pathlib import Path

from perennial.model.digest import file_digest
from perennial.release.canonical import FORMAT_VERSION, canonical_json
from perennial.release.manifest import Manifest


def index_json(manifest: Manifest) -> bytes:
    """The bytes of index/index.json, which the manifest holds in its own words."""
    index = manifest.index
    return canonical_json(
        {
            "format_version": FORMAT_VERSION,
            "encoder": manifest.encoder.digest,
            "dimension": manifest.encoder.dimension,
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
                for segment in index.segments
            ],
        }
    )


def is_whole(manifest: Manifest, directory: Path) -> bool:
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
    return all((directory / path).read_bytes() == data for path, data in written.items()) and all(
        file_digest(directory / path) == digest for path, digest in expected.items()
    )
