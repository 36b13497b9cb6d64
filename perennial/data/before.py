"""What a channel's people did before a rollout: what its tests are laid out for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from perennial.data.sessions import Drawn, count_sessions
from perennial.data.sources.days import between, part_files
from perennial.data.sources.parquet import read_of

_NEVER_MS = 1e18


@dataclass(frozen=True)
class Before:
    """Settled sessions of so many days, the share with success, and the 95th percentile of the
    milliseconds that first answers took; None where there was no session."""

    sessions: int
    days: float
    success: float | None
    p95_ms: float | None

    @property
    def sessions_per_day(self) -> float:
        return self.sessions / self.days if self.days else 0.0


def before(
    source: Path,
    *,
    channel: str,
    days: int,
    now: datetime,
    session_seconds: float,
    click_window_seconds: float,
    dwell_seconds: float,
    memory_mb: int,
) -> Before:
    """The stable arm's last `days` in the log, up to `now`."""
    begin = now - timedelta(days=days)
    counted = count_sessions(
        source,
        channel=channel,
        steps=[Drawn("canary", 0.5, begin, now)],
        candidate_releases=(),
        slow_ms=_NEVER_MS,
        now=now,
        session_seconds=session_seconds,
        click_window_seconds=click_window_seconds,
        dwell_seconds=dwell_seconds,
        memory_mb=memory_mb,
    )
    ours = [each for each in counted if each.arm == "stable"]
    settled, happy = sum(each.settled for each in ours), sum(each.successes for each in ours)
    if not settled:
        return Before(0, 0.0, None, None)
    first, p95 = _first_and_p95(source, channel=channel, begin=begin, now=now)
    # A log that began yesterday must not look like one of a quiet week.
    spanned = max((now - first).total_seconds() / 86_400, 1 / 24)
    return Before(settled, min(float(days), spanned), happy / settled, p95)


def _first_and_p95(
    source: Path, *, channel: str, begin: datetime, now: datetime
) -> tuple[datetime, float]:
    files = between(part_files(source / "requests"), begin.date(), now.date())
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        sql = f"""
            select epoch(min(first_at)), quantile_cont(latency_ms, 0.95) from (
                select min(ts) as first_at, arg_min(latency_ms, ts) as latency_ms
                from ({read_of(connection, "requests", files)})
                where channel = $channel and ts >= $begin and ts <= $now and arm = 'stable'
                group by session_id)"""  # noqa: S608
        row = connection.execute(sql, {"channel": channel, "begin": begin, "now": now}).fetchone()
    assert row is not None
    return datetime.fromtimestamp(row[0], tz=now.tzinfo), float(row[1])
