"""Counts of sessions out of a service's log: where each began, and whether it found something.

A session counts for the step and the arm that its first request met, whatever it met later: the
draw decides that alone. It has succeeded if, of what it asked within `session_seconds`, anything
was stayed on for `dwell_seconds` or converted within the click window; it is settled once that time
has passed, whatever it did. Only log lines that are there by `now` count.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from perennial.data.sources.days import between, part_files
from perennial.data.sources.parquet import read_of

_BEFORE = timedelta(days=1)  # a session that began earlier is not one that the step drew


@dataclass(frozen=True)
class Drawn:
    """A step of a rollout, as the log must be read: from when to when, who saw the candidate."""

    stage: str
    share: float
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Counted:
    """Sessions of one step, day and arm; `slow` and so on are first answers."""

    step: int  # from 0
    day: str
    arm: str  # stable, or candidate where the session saw anything of it
    began: int
    settled: int
    successes: int
    slow: int
    failed: int
    empty: int
    wins: int
    losses: int
    ties: int


def count_sessions(
    source: Path,
    *,
    channel: str,
    steps: Sequence[Drawn],
    candidate_releases: Iterable[str],
    slow_ms: float,
    now: datetime,
    session_seconds: float,
    click_window_seconds: float,
    dwell_seconds: float,
    memory_mb: int,
) -> list[Counted]:
    """What the sessions of each step did, by day and arm; nothing where nothing is logged.

    A request drawn for the candidate that another release answered is a failed one of the
    candidate. Lines that stand twice count once.
    """
    if not steps:
        return []
    earliest = min(each.begin for each in steps) - _BEFORE
    values = {
        "channel": channel,
        "slow_ms": slow_ms,
        "now": now,
        "earliest": earliest,
        "session": timedelta(seconds=session_seconds),
        "window": timedelta(seconds=click_window_seconds),
        "dwell": dwell_seconds,
        "candidate_releases": sorted(candidate_releases),
    }
    rows = ", ".join(
        f"({number}, '{each.stage}', timestamptz '{each.begin.isoformat()}', "
        f"timestamptz '{each.end.isoformat()}')"
        for number, each in enumerate(steps)
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"set timezone = 'UTC'; set enable_progress_bar = false; "
            f"set memory_limit = '{memory_mb}MB'"
        )
        tables = _tables(connection, source, earliest, now)
        if tables is None:
            return []
        sql = _SQL.format(steps=rows, **tables)
        used = {name: value for name, value in values.items() if f"${name}" in sql}
        return [Counted(*row) for row in connection.execute(sql, used).fetchall()]


def _tables(
    connection: duckdb.DuckDBPyConnection, source: Path, first: datetime, last: datetime
) -> Mapping[str, str] | None:
    """A query for each table's lines of these days; None where nothing was asked on them."""
    found = {}
    for name, empty in _NOTHING.items():
        files = between(part_files(source / name), first.date(), last.date())
        if name == "requests" and not files:
            return None
        found[name] = read_of(connection, name, files) if files else empty
    return found


_NOTHING = {
    "requests": "",
    "impressions": (
        "select '' as request_id, '' as doc_id, null::varchar as team, 0 as rank where false"
    ),
    "events": (
        "select '' as event_id, '' as request_id, '' as doc_id, '' as type, null::double as value, "
        "null::timestamptz as ts where false"
    ),
}
_SQL = """
with steps(step, stage, begin_at, end_at) as (values {steps}),
asked as (
    select any_value(columns(*)) from ({requests})
    where channel = $channel and ts >= $earliest and ts <= $now group by request_id
),
begun as (
    select session_id, min(ts) as first_at,
        arg_min(arm, (ts, request_id)) as arm,
        arg_min(release_id, (ts, request_id)) as release_id,
        arg_min(latency_ms, (ts, request_id)) as latency_ms,
        arg_min(n_results, (ts, request_id)) as n_results
    from asked group by session_id
),
placed as (
    select s.step, s.stage, b.*, b.first_at + $session + $window <= $now as settled
    from begun b join steps s on b.first_at >= s.begin_at and b.first_at < s.end_at
),
within as (
    select p.session_id, a.request_id, a.ts
    from asked a join placed p using (session_id)
    where p.settled and a.ts <= p.first_at + $session
),
seen as (
    select distinct on (e.event_id) e.event_id, w.session_id, e.request_id, e.doc_id, e.type,
        e.value
    from ({events}) e join within w using (request_id)
    where e.ts <= w.ts + $window and e.ts <= $now
),
stable_ones as (
    select distinct release_id from placed where arm = 'stable'
),
happy as (
    select distinct session_id from seen
    where type = 'convert' or (type = 'dwell' and value >= $dwell)
),
teams as (
    select distinct request_id, doc_id, team from ({impressions}) where team is not null
),
credit as (
    select s.session_id, sum(case t.team when 'candidate' then 1 else -1 end) as score
    from (select distinct session_id, request_id, doc_id from seen
          where type = 'convert' or (type = 'dwell' and value >= $dwell)) s
    join teams t using (request_id, doc_id)
    group by s.session_id
)
select p.step, strftime(p.first_at, '%Y-%m-%d'),
    case when p.arm = 'stable' then 'stable' else 'candidate' end as side,
    count(*)::bigint, count_if(settled)::bigint,
    count_if(settled and h.session_id is not null)::bigint,
    count_if(p.latency_ms > $slow_ms)::bigint,
    count_if(p.arm = 'candidate' and o.release_id is not null
        and not list_contains($candidate_releases, p.release_id))::bigint,
    count_if(p.n_results = 0)::bigint,
    count_if(settled and p.arm = 'interleaved' and coalesce(c.score, 0) > 0)::bigint,
    count_if(settled and p.arm = 'interleaved' and coalesce(c.score, 0) < 0)::bigint,
    count_if(settled and p.arm = 'interleaved' and coalesce(c.score, 0) = 0)::bigint
from placed p
left join stable_ones o on o.release_id = p.release_id
left join happy h using (session_id)
left join credit c using (session_id)
group by all order by all
"""
