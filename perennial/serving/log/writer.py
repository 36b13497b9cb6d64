"""The log's writer: a bounded queue and one thread, so that writing never keeps an answer waiting.

SIGTERM loses nothing; SIGKILL loses what came within the last `flush_seconds` and no more; what
finds the queue full is dropped, and counted.
"""

import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from perennial.serving.log.parts import recover
from perennial.serving.log.records import Event, Request, batches_of
from perennial.serving.log.rotation import Rotation
from perennial.serving.log.spool import ORDER, Spool

_SPOOLS = ".spool"
_AT_ONCE = 200  # records: for so long, a millisecond or two, an answer may wait for the interpreter
_SLACK = timedelta(days=1)  # by which readers of a day look around it
_BEHIND = 4  # spools that no disk takes as parquet: the next one is not closed, but grows
_log = logging.getLogger(__name__)


@dataclass
class Counts:
    """Records, each a request with its impressions or an event; `lost` is what no disk took."""

    written: int = 0
    dropped: int = 0
    lost: int = 0


class LogWriter:
    """Takes records from any thread; its own one spools them, another makes parquet of spools."""

    def __init__(
        self,
        source: Path,
        *,
        capacity: int,
        flush_seconds: float,
        rotate_seconds: float,
        rotate_rows: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises PlaceUnusable where the source cannot be written; takes over what was left.

        `now` names the first day; `clock` is what rotates, so that no jump of the time stops it.
        """
        self._source, self._capacity, self._clock = source, capacity, clock
        self._flush_seconds = flush_seconds
        self._rotate_seconds, self._rotate_rows = rotate_seconds, rotate_rows
        self.counts = Counts()
        self._queue: deque[Request | Event] = deque()
        self._process = f"serve-{os.getpid()}-{secrets.token_hex(4)}"
        self._numbers = 0
        recover(self._folder, source)
        self._spool: Spool | None = self._new_spool(now().date())
        self._rotation = Rotation(source)
        self._rotate_at = clock() + rotate_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="perennial-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Records that are in memory only."""
        return len(self._queue)

    def put(self, record: Request | Event) -> bool:
        """Queue a record; False, and counted, where the queue is full. Never waits."""
        if len(self._queue) >= self._capacity:
            self.counts.dropped += 1
            return False
        self._queue.append(record)
        return True

    def close(self) -> None:
        """Write all that was put, as parquet; nothing may be put any more."""
        self._stopping.set()
        self._thread.join()
        self._rotation.close()

    @property
    def _folder(self) -> Path:
        return self._source / _SPOOLS

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(self._flush_seconds)
            self._warned(self._flush)
            while is_last and self._queue:
                self._warned(self._flush)
            if is_last or self._is_time():
                self._warned(self._retire)
                self._rotate_at = self._clock() + self._rotate_seconds

    def _warned(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  the next time may go well
            _log.warning("the log could not be written: %s", error)

    def _flush(self) -> None:
        while self._queue:
            # Where spools break one after the other, what comes waits in the queue.
            is_stuck = self._spool is None and self._rotation.waiting >= 2 * _BEHIND
            if is_stuck and not self._stopping.is_set():
                return
            taken, day = self._next()
            try:
                batches = batches_of(taken)
                # A moment back is usual, around midnight; further back a clock was set.
                if self._spool is not None and not day <= self._spool.day <= day + _SLACK:
                    self._retire()
                if self._spool is None:
                    self._spool = self._new_spool(day)
                for table in ORDER:
                    if table in batches:
                        self._spool.append(table, batches[table])
                self.counts.written += len(taken)
            except Exception:
                # Half of it may be in the spool: again, it would be there twice.
                self.counts.lost += len(taken)
                self._retire()
                raise

    def _next(self) -> tuple[list[Request | Event], date]:
        """Some of what waits, of one day."""
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), _AT_ONCE))]
        days = list(map(_day, taken))
        end = next((at for at, day in enumerate(days) if day != days[0]), len(days))
        self._queue.extendleft(reversed(taken[end:]))
        return taken[:end], days[0]

    def _is_time(self) -> bool:
        rows = 0 if self._spool is None else self._spool.rows
        is_due = rows >= self._rotate_rows or self._clock() >= self._rotate_at
        return rows > 0 and is_due and self._rotation.waiting < _BEHIND

    def _retire(self) -> None:
        spool, self._spool = self._spool, None
        if spool is None:
            return
        spool.close()
        if spool.rows:
            self._rotation.take(spool)
        else:  # no disk took a row of it; kept, the next thousand would be as many descriptors
            spool.remove()

    def _new_spool(self, day: date) -> Spool:
        self._numbers += 1
        return Spool(self._folder, day=day, name=f"{self._process}-{self._numbers:05d}")


def _day(record: Request | Event) -> date:
    """In UTC; a row that is a day older may lie in the next day's file, which readers allow."""
    return record.ts.astimezone(UTC).date()
