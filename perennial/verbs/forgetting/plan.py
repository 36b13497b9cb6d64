"""Where a session is found: what goes, what stays, and which encoders learned of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.asked import Asked, releases_asked
from perennial.release.forgetting.forgotten import today
from perennial.release.remote.copies import Copies
from perennial.release.stores.store import Store
from perennial.verbs.forgetting.journal import journal_of, read_journal
from perennial.verbs.forgetting.named import digests_apart, to_look_into
from perennial.verbs.forgetting.places import (
    REMOTE,
    Trace,
    find_traces,
    frozen_folders,
    in_spools,
    snapshots_of,
)
from perennial.verbs.forgetting.remote import remote_copies, snapshots_with
from perennial.verbs.forgetting.session import Session, find_session
from perennial.workspace import Places


@dataclass(frozen=True)
class SessionForgotten:
    """What went, or, where it `is_plan`, would go. `stays` are files that a person must look at and
    runs at work; `spooled` requests that services hold; `trained` the releases whose encoder saw
    it."""

    is_plan: bool
    traces: tuple[Trace, ...]
    stays: tuple[Trace, ...]
    at_work: tuple[str, ...]
    spooled: int
    vectors: int
    asked: Asked
    trained: tuple[str, ...]
    unreached: tuple[str, ...] = ()  # what this call could not, and how it is reached

    @property
    def is_over(self) -> bool:
        """True where nothing is left to do."""
        left = self.stays or self.at_work or self.spooled or self.asked.in_flight
        return not (left or self.unreached)


def plan_session(
    asked: str,
    *,
    places: Places,
    store: Store,
    here: Path,
    session_key: bytes | None,
    key: bytes | None,
) -> tuple[Session, SessionForgotten]:
    """What would go; nothing is written. `here` is the folder whose ./snapshot is looked at."""
    with remote_copies(places) as copies:
        return planned(
            asked, copies, places=places, store=store, here=here, session_key=session_key, key=key
        )


def planned(
    asked: str,
    copies: Copies | None,
    *,
    places: Places,
    store: Store,
    here: Path,
    session_key: bytes | None,
    key: bytes | None,
) -> tuple[Session, SessionForgotten]:
    """The same, with the copies of what DVC's remote has."""
    remote = None if copies is None else copies.folder
    frozen = [*frozen_folders(places, here), *([] if remote is None else [remote])]
    session = read_journal(journal_of(places.home, asked)) | find_session(
        asked, source=places.source, frozen=frozen, key=session_key
    )
    runs = [*(each for each in frozen if (each / "dvc.yaml").is_file()), here]
    caches = (places.cache / "dvc", here / ".dvc" / "cache")
    apart = digests_apart(runs, caches, copies, key=key)
    found = find_traces(places, session, here, to_look_into(copies, apart), apart)
    session |= Session(snapshots=snapshots_of(found))
    if copies is not None:
        session |= Session(snapshots=snapshots_with(copies, in_remote(found), key=key))
    return session, SessionForgotten(
        is_plan=True,
        traces=tuple(each for each in found if each.how != "stays"),
        stays=tuple(each for each in found if each.how == "stays" and each.where != REMOTE),
        at_work=(),
        spooled=in_spools(places.source, session),
        vectors=0,
        asked=Asked(releases_asked(store, session.queries, key=key), {}, ()),
        trained=trained_on(store, session.snapshots, key=key),
        unreached=() if copies is None else _unreadable(copies, found),
    )


def trained_on(store: Store, snapshots: frozenset[str], *, key: bytes | None) -> tuple[str, ...]:
    """The kept releases with an encoder of these snapshots, or trained further from such a one."""
    kept = [read_kept(store, each, key=key) for each in store.release_ids()]
    lineages = {each.lineage for each in kept if each.provenance.snapshot_digest in snapshots}
    of = {each.release_id: each.lineage for each in kept}
    # A parent may have been written anew since, and the child still names the old one.
    parents = {each.lineage: set[str | None]() for each in kept}
    for each in kept:
        if each.parent is not None:
            parents[each.lineage].add(of.get(today(store, each.parent)))
    while more := {each for each, above in parents.items() if above & lineages} - lineages:
        lineages |= more
    return tuple(each.release_id for each in kept if each.lineage in lineages)


def in_remote(traces: Iterable[Trace]) -> list[Path]:
    """The copies of what goes from DVC's remote."""
    return [each.path for each in traces if each.where == REMOTE]


def _unreadable(copies: Copies, found: Iterable[Trace]) -> tuple[str, ...]:
    keys = [copies.keys[e.path] for e in found if e.where == REMOTE and e.how == "stays"]
    return tuple(f"{copies.bucket.place}/{key} cannot be read: look at it" for key in keys)
