"""What a channel's people did hour by hour: counts of all sessions, and queries of some of them.

Of each session its first request counts, so that one person is one observation. A request has
succeeded if something was converted, or clicked and not left again at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from perennial.data.scratch import own_folder
from perennial.data.sources.days import between, part_files
from perennial.data.sources.parquet import read_of

FLAGS = (
    "click success",
    "reformulation",
    "zero results",
    "events",
    "impressions",
    "blank queries",
)
_NOTHING = {
    "impressions": "select '' as request_id, '' as doc_id, 0 as rank where false",
    "events": (
        "select '' as event_id, '' as request_id, '' as doc_id, '' as type, null::double as value, "
        "null::timestamptz as ts where false"
    ),
}


@dataclass(frozen=True)
class Live:
    """`counts`: hour, slice, requests, sessions and a column per flag; `queries`: hour, slice,
    query, and how many sessions began with it. Hours are since 1970, UTC; slices may be null."""

    counts: pa.Table
    queries: pa.Table


def read_live(
    source: Path,
    *,
    channel: str,
    begin: datetime,
    end: datetime,
    click_window_seconds: float,
    session_seconds: float,
    short_dwell_seconds: float,
    sampled_per_hour: int,
    memory_mb: int,
    spill: Path,
) -> Live | None:
    """The log from `begin` to `end`, both whole hours; None where nothing was ever asked then.

    What `memory_mb` cannot hold is below `spill` meanwhile.
    """
    values = {
        "channel": channel,
        "begin": begin,
        "end": end,
        "window": timedelta(seconds=click_window_seconds),
        "session": timedelta(seconds=session_seconds),
        "short": short_dwell_seconds,
    }
    with opened(spill, memory_mb=memory_mb) as connection:
        tables = {}
        for name in ("requests", "impressions", "events"):
            files = between(part_files(source / name), begin.date(), end.date())
            if name == "requests" and not files:
                return None
            tables[name] = read_of(connection, name, files) if files else _NOTHING[name]
        catalogue = source / "catalogue.parquet"
        tables["catalogue"] = read_of(connection, "catalogue", [catalogue])
        connection.execute(
            f"create table told as {_TOLD.format(**tables)}",
            {name: value for name, value in values.items() if f"${name}" in _TOLD},
        )
        counts: pa.Table = connection.sql(_COUNTS).to_arrow_table()
        most = {"most": sampled_per_hour}
        queries: pa.Table = connection.sql(_QUERIES, params=most).to_arrow_table()
    return Live(counts, queries) if counts.num_rows else None


@contextmanager
def opened(spill: Path, *, memory_mb: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that works beyond `memory_mb` in a folder below `spill`, which is removed, and
    so are those of processes that were killed."""
    spill.mkdir(parents=True, exist_ok=True)
    with (
        own_folder(spill, prefix="log-") as folder,
        duckdb.connect(
            config={"memory_limit": f"{memory_mb}MB", "temp_directory": str(folder)}
        ) as connection,
    ):
        connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        yield connection


_TOLD = """
with asked as (
    select any_value(columns(*)) from ({requests})
    where channel = $channel and ts >= $begin and ts < $end group by request_id
),
placed as (
    select *, row_number() over one as place, first_value(ts) over one as first_at,
        lead(ts) over one as next_at, lead(query) over one as next_query
    from asked window one as (partition by session_id order by ts, request_id
        rows between unbounded preceding and unbounded following)
),
seen as (
    select request_id, doc_id, bool_or(type = 'convert') as converted,
        bool_or(type = 'click') as clicked,
        max(value) filter (type = 'dwell') as stayed
    from (select distinct on (e.event_id) e.* from ({events}) e join asked a using (request_id)
          where e.ts <= a.ts + $window)
    group by request_id, doc_id
),
done as (
    select request_id, bool_or(converted or (clicked and coalesce(stayed, $short) >= $short))
        as succeeded
    from seen group by request_id
),
shown as (
    select i.request_id, arg_min(c.slice, (i.rank, i.doc_id)) as slice
    from ({impressions}) i semi join asked a using (request_id)
    left join ({catalogue}) c using (doc_id) group by i.request_id
)
select p.request_id, epoch_ms(p.ts) // 3600000 as hour, s.slice, p.query,
    p.place = 1 as is_first,
    coalesce(d.succeeded, false) as "click success",
    coalesce(p.next_query <> p.query and p.next_at <= p.ts + $session, false) as reformulation,
    p.n_results = 0 as "zero results",
    d.request_id is not null as events,
    p.n_results = 0 or s.request_id is not null as impressions,
    coalesce(trim(p.query), '') = '' as "blank queries"
from placed p left join done d using (request_id) left join shown s using (request_id)
"""
_COUNTS = f"""
select hour, slice, count(*)::bigint as requests, count_if(is_first)::bigint as sessions,
    {", ".join(f'count_if(is_first and "{flag}")::bigint as "{flag}"' for flag in FLAGS)}
from told group by hour, slice order by hour, slice
"""  # noqa: S608
_QUERIES = """
select hour, slice, coalesce(query, '') as query, count(*) over (partition by query) as sessions
from told where is_first
qualify row_number() over (partition by hour order by md5(request_id), request_id) <= $most
order by hour, md5(request_id), request_id
"""
