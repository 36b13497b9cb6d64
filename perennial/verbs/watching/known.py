"""Up to when a log is known: a service writes it as it answers, an import brings it now and then.

A service's silence is one; an import's is not, until it is so late that nobody brings it any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from perennial.data.sources.days import between, day_of, is_served, newest, part_files
from perennial.data.sources.parquet import read_of
from perennial.quality.drift.signal import Signal
from perennial.verbs.arriving import settle


@dataclass(frozen=True)
class Known:
    """The end of the log; of one that is imported that of its last request."""

    until: datetime
    is_imported: bool


def last_known(source: Path, *, now: datetime, weeks: int) -> Known:
    """What is known `now`; a log without a request in so many weeks is known to have none."""
    settle(source)
    since = now - timedelta(weeks=weeks)
    files = between(part_files(source / "requests"), since.date(), now.date())
    if not files or _is_live(files):
        return Known(now, is_imported=False)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        rows = read_of(connection, "requests", newest(files))
        last = f"select max(ts) from ({rows}) where ts between ? and ?"  # noqa: S608
        ((found,),) = connection.execute(last, [since, now]).fetchall()
    if found is None:
        return Known(now, is_imported=False)
    return Known(found.astimezone(UTC), is_imported=True)


def import_signals(known: Known, *, now: datetime, page_hours: float) -> list[Signal]:
    """How long ago an imported log ends, by no chance; nothing of a service's."""
    if not known.is_imported:
        return []
    hours = (now - known.until).total_seconds() / 3600
    said = f"the last request that was imported is {hours:,.0f} hours old: imports do not come"
    return [Signal("log: import", "operation", 0, hours, page_hours, None, 1, said)]


def _is_live(files: Sequence[Path]) -> bool:
    """Whether a service wrote the newest days, or what others brought has none."""
    served = _newest_day([path for path in files if is_served(path)])
    brought = _newest_day([path for path in files if not is_served(path)])
    return served is not None and (brought is None or served >= brought - timedelta(days=1))


def _newest_day(files: Sequence[Path]) -> date | None:
    return max((day for path in files if (day := day_of(path)) is not None), default=None)
