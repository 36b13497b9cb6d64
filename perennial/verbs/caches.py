"""What this machine's caches keep of forgotten documents, removed: they can all be made again."""

import shutil
from collections.abc import Collection
from pathlib import Path

from perennial.model.vectors import forget_vectors
from perennial.release.forgetting.traces import Traces, scan_folder
from perennial.release.stores.durable import usable

_VECTORS = "vectors"
_RELEASES = "releases"


def clear_caches(cache: Path, traces: Traces, text_digests: Collection[str]) -> int:
    """Remove the vectors of the texts, every file with a trace and the release folder it stands in.

    How many vectors and files went. A searcher that has a removed file open keeps it until it
    follows its channel; raises Refused where another process holds an old page of the vectors open.
    """
    with usable(cache):
        removed = forget_vectors(cache / _VECTORS, sorted(text_digests))
        for path in scan_folder(cache, traces):
            removed += 1
            folder = release_folder(path, cache)
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            path.unlink(missing_ok=True)
    return removed


def release_folder(path: Path, cache: Path) -> Path | None:
    """The folder of a release that the file is part of: .../releases/<release_id>."""
    for folder in path.relative_to(cache).parents:
        if folder.parent.name == _RELEASES and folder.name.startswith("rel-"):
            return cache / folder
    return None
