"""What DVC's remote has of a session or a document, in whatever version of the bucket."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.release.forgetting.traces import Traces, scan_folder
from perennial.release.remote.copies import Copies, fetched
from perennial.release.remote.place import open_remote
from perennial.release.remote.runs import FILES, pushed_runs
from perennial.release.stores.s3.errors import NotThere
from perennial.workspace import Places


@contextmanager
def remote_copies(places: Places, *, numbers: bool = False) -> Iterator[Copies | None]:
    """Every copy that may name somebody, here while the body runs; None without a remote. With
    `numbers` those that hold nothing else, too: a document's vectors are such."""
    if places.remote is None:
        yield None
        return
    with fetched(open_remote(places.remote), numbers=numbers) as copies:
        yield copies


def snapshots_with(copies: Copies, found: Collection[Path], *, key: bytes | None) -> frozenset[str]:
    """The digests of the pushed snapshots that one of the copies is a file of."""
    going = {copies.keys[path] for path in found}
    return frozenset(
        run.snapshot
        for run in (pushed_runs(copies.bucket, key=key) if going else ())
        if going & _files(copies, run.folders["snapshot"])
    )


def erase_copies(copies: Copies, found: Collection[Path]) -> None:
    """Remove them from the bucket: a run that lacks one is pulled by nobody."""
    for path in found:
        copies.erase(path)


def forget_in_remote(
    places: Places, traces: Traces, *, key: bytes | None
) -> tuple[int, frozenset[str]]:
    """Remove every file with a trace of a document: how many, and the snapshots that had one."""
    with remote_copies(places, numbers=True) as copies:
        if copies is None:
            return 0, frozenset()
        found = scan_folder(copies.folder, traces)
        snapshots = snapshots_with(copies, found, key=key)
        erase_copies(copies, found)
    return len(found), snapshots


def _files(copies: Copies, folder: str) -> set[str]:
    """The keys of what DVC's listing of a folder names; none where the listing is gone."""
    try:
        listing, _ = copies.bucket.get(_key(folder))
    except NotThere:
        return set()
    return {_key(str(each["md5"])) for each in json.loads(listing)}


def _key(md5: str) -> str:
    return f"{FILES}{md5[:2]}/{md5[2:]}"
