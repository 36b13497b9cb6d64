"""Forgetting a session: where it is found, what goes, what stays, and which encoders learned of it.

Every step can be repeated, and the journal remembers what is looked for until all is done.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from perennial.model.digest import text_digest
from perennial.model.vectors import forget_vectors
from perennial.release.audit import write_deed
from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.asked import Asked, forget_queries, releases_asked
from perennial.release.forgetting.forgotten import today
from perennial.release.publishing.pins import Say
from perennial.release.stores.durable import usable
from perennial.release.stores.store import Store
from perennial.serving.log.parts import recover
from perennial.verbs.forgetting.journal import (
    alone,
    journal_of,
    read_journal,
    remove_journal,
    write_journal,
)
from perennial.verbs.forgetting.making import half_made, nobody_makes
from perennial.verbs.forgetting.places import (
    Trace,
    find_traces,
    frozen_folders,
    in_spools,
    snapshots_of,
)
from perennial.verbs.forgetting.removal import remove_traces
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
    session = read_journal(journal_of(places.home, asked)) | find_session(
        asked, source=places.source, frozen=frozen_folders(places, here), key=session_key
    )
    found = find_traces(places, session, here)
    session |= Session(snapshots=snapshots_of(found))
    return session, SessionForgotten(
        is_plan=True,
        traces=tuple(each for each in found if each.how != "stays"),
        stays=tuple(each for each in found if each.how == "stays"),
        at_work=(),
        spooled=in_spools(places.source, session),
        vectors=0,
        asked=Asked(releases_asked(store, session.queries, key=key), {}, ()),
        trained=trained_on(store, session.snapshots, key=key),
    )


def seek_session(
    asked: str,
    *,
    places: Places,
    store: Store,
    here: Path,
    session_key: bytes | None,
    key: bytes | None,
) -> Session:
    """What the session is called and said, remembered until a forgetting has ended."""
    with alone(places.home):
        session, _ = plan_session(
            asked, places=places, store=store, here=here, session_key=session_key, key=key
        )
        write_journal(journal_of(places.home, asked), session)
    return session


def forget_session(
    asked: str,
    *,
    places: Places,
    store: Store,
    here: Path,
    session_key: bytes | None,
    key: bytes | None,
    who: str,
    why: str,
    pending: timedelta,
    now: datetime,
    say: Say,
    unreached: tuple[str, ...] = (),
) -> SessionForgotten:
    """Remove the session from all that this machine and the store keep; a killed one is finished by
    the next, and what is sought is remembered while anything is `unreached`."""
    with alone(places.home), ExitStack() as resting:
        at_work = {
            place
            for place in {each.resolve(): each for each in (here, places.runs)}.values()
            if not resting.enter_context(nobody_makes(place))
        }
        with usable(places.source):
            recover(places.source / ".spool", places.source)
        # What a killed call removed, nobody counted.
        is_continued = bool(read_journal(journal_of(places.home, asked)).requests)
        session, plan = plan_session(
            asked, places=places, store=store, here=here, session_key=session_key, key=key
        )
        write_journal(journal_of(places.home, asked), session)
        of_releases = forget_queries(
            store, session.queries, who=who, pending=pending, key=key, say=say
        )
        done = replace(
            plan,
            is_plan=False,
            unreached=unreached if session.requests else (),
            asked=of_releases,
            trained=trained_on(store, session.snapshots, key=key),
            vectors=_clear_vectors(places.cache, session),
            at_work=remove_traces(plan.traces, session, now=now, at_work=at_work)
            + tuple(f"a snapshot in {each}" for each in sorted(at_work) if not half_made(each)),
        )
        if is_continued or done.traces or done.asked.queries:
            about = _about(done, session) | {"continued": is_continued}
            what = "forgot a session"
            write_deed(store, what=what, why=why, who=who, now=now, about=about, key=key)
        if done.is_over:
            remove_journal(journal_of(places.home, asked))
    return done


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


def _clear_vectors(cache: Path, session: Session) -> int:
    with usable(cache):
        return forget_vectors(cache / "vectors", sorted(map(text_digest, session.queries)))


def _about(done: SessionForgotten, session: Session) -> dict[str, object]:
    """Numbers, releases, and digests of the hashes: who has a hash can look it up, no one else."""
    return {
        "sessions": sorted(text_digest(each) for each in session.hashed),
        "files": len(done.traces),
        "rows": sum(each.rows for each in done.traces),
        "releases": sorted(done.asked.queries),
        "trained": list(done.trained),
        "is_over": done.is_over,
    }
