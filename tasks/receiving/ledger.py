"""What was let in, on disk: a restart forgets nothing, and it never grows without bound."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perennial.errors import PlaceUnusable

MOST_ROWS = 100_000  # of each table; the oldest go first
_TABLES = """
create table if not exists started (
    key text primary key, deployment text not null, body text not null, run text not null,
    at real not null);
create index if not exists started_at on started (deployment, at);
create table if not exists spent (
    signature text primary key, deployment text not null, until real not null);
"""


@dataclass(frozen=True)
class Started:
    """A trigger that was let in: the run that it started, and when, in Unix seconds."""

    deployment: str
    body: str
    run: str
    at: float


class Ledger:
    """Keys of what was started and signatures that were seen; for several threads and processes."""

    def __init__(self, path: Path, *, remember_seconds: float) -> None:
        """Opens or makes the file; raises PlaceUnusable."""
        self._remember_seconds, self._lock = remember_seconds, threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            # A power cut may take the last rows: Prefect knows the same keys, and starts no second.
            self._database.executescript("pragma journal_mode=wal; pragma synchronous=normal;")
            self._database.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise PlaceUnusable(
                f"{path} cannot keep what was started ({error}); make room, or move the file away"
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """One decision at a time, across processes; what it wrote stays unless it raises."""
        with self._lock:
            self._database.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    def term(self, now: float) -> int:
        """The number of the term that a time is in: what is forgotten was started in another."""
        return int(now // self._remember_seconds)

    def started(self, key: str) -> Started | None:
        """What this key started."""
        found = self._database.execute(
            "select deployment, body, run, at from started where key = ?", (key,)
        ).fetchone()
        return None if found is None else Started(*found)

    def last(self, deployment: str) -> float | None:
        """When a trigger of the deployment was let in last, in Unix seconds."""
        (found,) = self._database.execute(
            "select max(at) from started where deployment = ?", (deployment,)
        ).fetchone()
        return None if found is None else float(found)

    def spent_on(self, signature: str, deployment: str, *, until: float, now: float) -> str:
        """The deployment that a delivery with this signature was first sent to: perhaps this."""
        self._database.execute("delete from spent where until < ?", (now,))
        self._database.execute(
            "insert or ignore into spent values (?, ?, ?)", (signature, deployment, until)
        )
        self._trim("spent")
        (found,) = self._database.execute(
            "select deployment from spent where signature = ?", (signature,)
        ).fetchone()
        return str(found)

    def remember(self, key: str, started: Started) -> None:
        """Keep it, and forget what is older than is remembered."""
        row = (key, started.deployment, started.body, started.run, started.at)
        self._database.execute("insert into started values (?, ?, ?, ?, ?)", row)
        self._database.execute(
            "delete from started where at < ?", (started.at - self._remember_seconds,)
        )
        self._trim("started")

    def _trim(self, table: str) -> None:
        self._database.execute(
            f"delete from {table} where rowid <= (select max(rowid) from {table}) - {MOST_ROWS}"  # noqa: S608
        )
