"""The right to delete, for a short while: publishers who see its record wait until it is over."""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from perennial.errors import Conflict, Refused
from perennial.release.manifests.canonical import utc_text
from perennial.release.publishing.pins import (
    LEASE,
    SWEEP,
    Clock,
    Say,
    SweepRecord,
    await_sweep,
    say_nothing,
    utc_now,
)
from perennial.release.stores.store import Store

_RENEW_AFTER = LEASE / 4
# What is sent in the last half may arrive late: nothing is deleted then.
_STOP_AFTER = LEASE / 2


class Lease:
    """One sweeper's record, renewed while it works; `hold` stands before every deletion."""

    def __init__(
        self, store: Store, dead: bytes | None, *, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._store, self._clock, self._monotonic = store, clock, monotonic
        self._data = dead  # not what stands there by now, which may be a living sweeper's
        self._began, self._sweep = monotonic(), secrets.token_hex(8)

    def take(self, *, releases: tuple[str, ...] = ()) -> None:
        """Write or renew the record; raises Refused where another sweeper has it."""
        began = self._monotonic()
        until = utc_text(self._clock() + LEASE)
        write_id = f"{self._sweep}.{secrets.token_hex(8)}"
        data = SweepRecord(1, "deleting", until, releases, write_id).to_bytes()
        try:
            self._store.swap_record(SWEEP, self._data, data)
        except Conflict as error:
            raise Refused(
                f"another sweep of {self._store.place} has begun; let it finish, then run again"
            ) from error
        self._data, self._began, self._releases = data, began, releases

    def hold(self) -> None:
        """Renew in time; raises Refused where this process slept too long to be trusted."""
        age = timedelta(seconds=self._monotonic() - self._began)
        if age > _STOP_AFTER:
            raise Refused(
                f"the sweep of {self._store.place} stood still for {age.seconds} s, and publishers "
                "may have gone on; nothing is lost: run it again"
            )
        if age > _RENEW_AFTER:
            self.take(releases=self._releases)

    def end(self) -> None:
        """Let the publishers go on."""
        with contextlib.suppress(Conflict):  # another sweeper took what seemed dead
            self._store.swap_record(SWEEP, self._data, None)


@contextlib.contextmanager
def deleting(
    store: Store,
    *,
    clock: Clock = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    say: Say = say_nothing,
) -> Iterator[Lease]:
    """A lease that is taken after any other is over, and ended even where the work fails."""
    dead = await_sweep(store, clock=clock, monotonic=monotonic, sleep=sleep, say=say)
    lease = Lease(store, dead, clock=clock, monotonic=monotonic)
    lease.take()
    try:
        yield lease
    finally:
        lease.end()
