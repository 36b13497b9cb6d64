"""Which rows a snapshot holds: the settled window of the log, about documents that still exist."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from perennial.data.schema import TABLES
from perennial.data.streams import write_stream
from perennial.verbs.freezing.events import EventsLeftOut, tell_events
from perennial.verbs.freezing.log import (
    files_of,
    frozen_log,
    last_moment,
    number,
    open_views,
    stream,
)
from perennial.verbs.freezing.marks import add_marks
from perennial.verbs.freezing.queries import Rare, findings, leave_out_rare, redact_queries
from perennial.verbs.freezing.sessions import name_sessions

# Younger requests still wait for late clicks. A snapshot is sorted by `place`.
_USABLE = """
create table usable as
select request_id, row_number() over () as place from (
    select request_id, min(ts) as ts from requests where ts between $start and $settled
    group by request_id order by ts, request_id)"""
# A request that showed a document since deleted is left out whole: without that document its
# ranks and its skipped results would tell something that nobody saw.
_GONE = """
create table gone as
select distinct request_id from impressions i
semi join usable using (request_id)
anti join catalogue c on i.doc_id = c.doc_id
where i.doc_id is not null"""
_ASKED = """
create table asked as select request_id, session_id, query, place from requests
join usable using (request_id) where ts between $start and $settled"""
_LABELS = """
create table labels as
select j.*, doc_id is null or doc_id in (select doc_id from catalogue) as is_known
from judgements j"""
# Every column at the end: rows that are told apart by nothing have no order to lose.
_ROWS = {
    "requests": """
        select r.* replace (p.name as session_id, coalesce(t.plain, r.query) as query)
        from requests r join usable u using (request_id)
        left join people p on r.session_id = p.session_id
        left join redacted t on r.query = t.query
        where r.ts between $start and $settled order by u.place, {columns}""",
    "impressions": """
        select i.* from impressions i join usable u using (request_id)
        order by u.place, i.rank, i.doc_id, {columns}""",
    "events": """
        select * exclude (is_repeated, is_stray) from told order by ts, event_id, {columns}""",
    # One label a document where two queries became one by redaction, the higher; what the source
    # itself says twice stays, for validate to refuse.
    "judgements": """
        select j.* exclude (is_known) replace (coalesce(t.plain, j.query) as query)
        from labels j left join redacted t on j.query = t.query
        qualify t.plain is null or row_number() over (
            partition by coalesce(t.plain, j.query), doc_id
            order by grade desc nulls last, t.plain is not null, slice) = 1
        order by {columns}""",
}


@dataclass(frozen=True)
class Frozen:
    """The rows that were written, what was left out of them, and findings by table and kind."""

    start: datetime
    end: datetime
    rows: dict[str, int]
    dropped: dict[str, int]
    redacted: dict[str, dict[str, int]]
    rare: Rare
    events: EventsLeftOut
    sessions: str


def freeze_tables(
    source: Path,
    to: Path,
    *,
    window: timedelta,
    settle: timedelta,
    max_unknown_share: float,
    min_query_sessions: int,
    memory_mb: int,
    session_key: bytes | None,
) -> Frozen:
    """Write the five tables of `source` into the folder `to`; raises BadInput, TableInvalid.

    Requests and judgements about documents that the catalogue no longer has are left out, up to
    `max_unknown_share` of either table. Beyond it none is: so many are no deletions but a foreign
    log, and the stage validate refuses it by name. So are events that were sent twice, or on what
    was not shown. Beyond `memory_mb` it works below `to`.
    """
    files = files_of(source)
    shutil.copyfile(files["catalogue"][0], to / "catalogue.parquet")
    with frozen_log(source, memory_mb=memory_mb, spill=to / ".spill") as connection:
        end = last_moment(connection, files["requests"])
        times = {"start": end - window, "settled": end - settle, "end": end}
        open_views(connection, files, start=times["start"], end=end)
        add_marks(connection, source)
        connection.execute(_USABLE, _named(_USABLE, times))
        connection.execute(_GONE)
        gone = _leave_out_gone(connection, max_unknown_share)
        connection.execute(_ASKED, _named(_ASKED, times))
        connection.execute(_LABELS)
        lost = _leave_out_unknown(connection, max_unknown_share)
        redact_queries(connection)
        rare = leave_out_rare(connection, min_sessions=min_query_sessions)
        events = tell_events(connection, times)
        sessions = name_sessions(connection, key=session_key)
        redacted = {
            "requests": findings(connection, "asked"),
            "judgements": findings(connection, "labels"),
        }
        rows = {"catalogue": number(connection, "select count(*) from catalogue")}
        for name, query in _ROWS.items():
            query = query.format(columns=", ".join(map(str, range(1, len(TABLES[name]) + 1))))
            found = stream(connection, query, **_named(query, times))
            rows[name] = write_stream(found, to / f"{name}.parquet", table=name)
    return Frozen(
        start=times["start"],
        end=end,
        rows={name: rows[name] for name in TABLES},
        dropped={"requests": gone, "judgements": lost},
        redacted=redacted,
        rare=rare,
        events=events,
        sessions=sessions,
    )


def _leave_out_gone(connection: duckdb.DuckDBPyConnection, max_share: float) -> int:
    """Take the gone requests out of the usable ones, unless they are too many; how many."""
    gone = number(connection, "select count(*) from gone")
    usable = number(connection, "select count(*) from usable")
    if gone > max_share * usable:
        return 0
    connection.execute("delete from usable where request_id in (select request_id from gone)")
    return gone


def _leave_out_unknown(connection: duckdb.DuckDBPyConnection, max_share: float) -> int:
    """The same for labels."""
    every = number(connection, "select count(*) from labels")
    lost = number(connection, "select count(*) from labels where not is_known")
    if lost > max_share * every:
        return 0
    connection.execute("delete from labels where not is_known")
    return lost


def _named(query: str, times: dict[str, datetime]) -> dict[str, datetime]:
    """The times that the query names: duckdb takes no others."""
    return {name: time for name, time in times.items() if f"${name}" in query}
