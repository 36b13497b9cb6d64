"""Why nothing that a manifest names is ever swept: publishers pin first, then look for a sweep.

Whoever is about to rely on stored objects writes a pending note that names them, then reads the
record of the sweep; a sweep writes its record, then reads the notes. So either the sweep sees the
note, or the publisher sees the sweep and waits until it is over before it looks what is there.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import TypeAdapter

from perennial.errors import PerennialError
from perennial.release.manifests.canonical import (
    canonical_json,
    parse_strictly,
    parse_utc,
    utc_text,
)
from perennial.release.manifests.parts import STRICT, ReleaseId
from perennial.release.stores.store import PendingNote, Store

SWEEP = "sweep"
LEASE = timedelta(minutes=2)
CLOCK_SKEW = timedelta(minutes=5)  # between two machines; S3 itself refuses more than 15
_POLL_SECONDS = 0.2

Clock = Callable[[], datetime]
Say = Callable[[str], None]


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def say_nothing(sentence: str) -> None:
    """For callers whom nobody listens to."""


@dataclass(frozen=True)
class SweepRecord:
    """A sweep that may delete until `until`; `releases` are the manifests that it deletes.

    `write_id` is the sweep's random id, a point, and the write's own.
    """

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    state: Literal["deleting"]
    until: str
    releases: tuple[ReleaseId, ...]
    write_id: str

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical_json(asdict(self))


def read_sweep_record(data: bytes) -> SweepRecord:
    """The record of stored bytes; raises IntegrityError."""
    return parse_strictly(data, _ADAPTER, what="the record of the sweep")


def announce(
    store: Store,
    release_id: str,
    digests: Iterable[str],
    *,
    clock: Clock = utc_now,
    say: Say = say_nothing,
) -> None:
    """Write a publication's pending note and wait for a sweep to end; `clear_pending` withdraws it.

    After it the objects that are there stay there.
    """
    note = PendingNote(1, release_id, utc_text(clock()), tuple(sorted(set(digests))))
    store.write_pending(note)
    await_sweep(store, clock=clock, say=say)


@contextlib.contextmanager
def pinned(
    store: Store,
    move: str,
    digests: Iterable[str],
    *,
    clock: Clock = utc_now,
    say: Say = say_nothing,
) -> Iterator[None]:
    """Keeps objects, and the releases that need no others, while a channel is moved to them.

    The note is called by a hash of the move, so that a killed one that is repeated leaves none, and
    the end of a publication or of another channel's move does not withdraw it.
    """
    try:
        announce(store, _pin(move), digests, clock=clock, say=say)
        yield
    finally:
        unpin(store, move)


def unpin(store: Store, move: str) -> None:
    """Withdraw the pin that a killed move may have left behind."""
    store.clear_pending(_pin(move))


def await_sweep(
    store: Store,
    *,
    clock: Clock = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    say: Say = say_nothing,
) -> bytes | None:
    """Return once no sweep may delete: its record is gone, None, or its lease is surely over.

    The last record that was seen, which a sweeper may take over where it still stands.

    A record that nobody renews for a whole lease is a killed sweep's, whatever the clocks say. A
    sweep that begins while we wait has seen our note: only the first one matters.
    """
    seen, since, told, first = b"", monotonic(), False, None
    while (data := store.read_record(SWEEP)) is not None:
        if _is_long_over(data, now=clock()):
            return data
        first = first or _sweep_of(data)
        if _sweep_of(data) != first:
            return seen
        if data != seen:
            seen, since = data, monotonic()
        elif monotonic() - since > LEASE.total_seconds():
            return data
        if not told:
            say(f"a sweep of {store.place} is deleting; waiting until it is done")
            told = True
        sleep(_POLL_SECONDS)
    return None


def _is_long_over(data: bytes, *, now: datetime) -> bool:
    """True where every clock agrees; of a damaged record, which `verify` names, nobody can say."""
    try:
        return now > parse_utc(read_sweep_record(data).until) + CLOCK_SKEW
    except PerennialError:
        return False


def _sweep_of(data: bytes) -> str | None:
    """What stays the same while one sweep renews its record."""
    try:
        return read_sweep_record(data).write_id.partition(".")[0]
    except PerennialError:
        return None


def _pin(move: str) -> str:
    return f"rel-{hashlib.sha256(move.encode()).hexdigest()[:12]}"


_ADAPTER = TypeAdapter(SweepRecord)
