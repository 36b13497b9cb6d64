"""What DVC's remote has of a session or a document, in whatever version of the bucket."""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.release.forgetting.traces import Traces
from perennial.release.remote.copies import Copies, fetched
from perennial.release.remote.listing import file_key
from perennial.release.remote.place import open_remote
from perennial.release.remote.runs import pushed_runs
from perennial.release.stores.s3.errors import NotThere
from perennial.verbs.forgetting.named import digests_apart, to_look_into
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


def unseen(copies: Copies) -> tuple[str, ...]:
    """What came to the remote since it was read, in a sentence; nothing where nothing did."""
    if not (keys := copies.arrived()):
        return ()
    more = f" and {len(keys) - 1:,} more" if len(keys) > 1 else ""
    return (f"{copies.bucket.place}/{keys[0]}{more} came meanwhile: run this again",)


def forget_in_remote(
    places: Places,
    traces: Traces,
    *,
    key: bytes | None,
    say_first: Callable[[frozenset[str]], None],
) -> int:
    """Remove every file with a trace of a document: how many. `say_first` is given the snapshots
    that had one, before any goes: who is killed then has said it."""
    with remote_copies(places, numbers=True) as copies:
        if copies is None:
            return 0
        runs, find = sorted(places.runs.glob("[!.]*/")), traces.search()
        apart = digests_apart(runs, [places.cache / "dvc"], copies, key=key)
        found = [path for path in to_look_into(copies, apart) if find(path)]
        if found:
            say_first(snapshots_with(copies, found, key=key))
        erase_copies(copies, found)
    return len(found)


def _files(copies: Copies, folder: str) -> set[str]:
    """The keys of what DVC's listing of a folder names; none where the listing is gone."""
    try:
        listing, _ = copies.bucket.get(file_key(folder))
    except NotThere:
        return set()
    return {file_key(str(each["md5"])) for each in json.loads(listing)}
