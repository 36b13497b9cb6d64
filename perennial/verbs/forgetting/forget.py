"""Forgetting a session: what was planned goes, and the audit log says that it did.

Every step can be repeated, and the journal remembers what is looked for until all is done.
"""

from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from perennial.model.digest import text_digest
from perennial.model.vectors import forget_vectors
from perennial.release.audit import write_deed
from perennial.release.forgetting.asked import forget_queries
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
from perennial.verbs.forgetting.places import REMOTE
from perennial.verbs.forgetting.plan import (
    SessionForgotten,
    in_remote,
    plan_session,
    planned,
    trained_on,
)
from perennial.verbs.forgetting.remote import erase_copies, remote_copies, unseen
from perennial.verbs.forgetting.removal import remove_traces
from perennial.verbs.forgetting.session import Session
from perennial.workspace import Places


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
        copies = resting.enter_context(remote_copies(places))
        session, plan = planned(
            asked, copies, places=places, store=store, here=here, session_key=session_key, key=key
        )
        write_journal(journal_of(places.home, asked), session)
        if copies is not None:
            erase_copies(copies, in_remote(plan.traces))
        here_only = [each for each in plan.traces if each.where != REMOTE]
        of_releases = forget_queries(
            store, session.queries, who=who, pending=pending, key=key, say=say
        )
        done = replace(
            plan,
            is_plan=False,
            unreached=plan.unreached + (unreached if session.requests else ()),
            asked=of_releases,
            trained=trained_on(store, session.snapshots, key=key),
            vectors=_clear_vectors(places.cache, session),
            at_work=remove_traces(here_only, session, now=now, at_work=at_work)
            + tuple(f"a snapshot in {each}" for each in sorted(at_work) if not half_made(each)),
        )
        if copies is not None:  # a push may have been at work
            done = replace(done, unreached=done.unreached + unseen(copies))
        if is_continued or done.traces or done.asked.queries:
            about = _about(done, session) | {"continued": is_continued}
            what = "forgot a session"
            write_deed(store, what=what, why=why, who=who, now=now, about=about, key=key)
        if done.is_over:
            remove_journal(journal_of(places.home, asked))
    return done


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
        "snapshots": sorted(session.snapshots),
        "is_over": done.is_over,
    }
