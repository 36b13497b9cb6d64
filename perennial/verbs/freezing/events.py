"""Events as a snapshot holds them: each once, and about what its request showed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from perennial.verbs.freezing.log import number

# A service refuses nearly all of them itself; so many more are a log without its impressions, and
# the stage validate says so.
_MOST_NOT_SHOWN = 0.01
_SHOWN = """
create table shown as
select distinct request_id, doc_id from impressions
semi join (select request_id, doc_id from events semi join usable using (request_id))
using (request_id, doc_id)"""
# An event has the same id wherever it is sent again, and the first time is when it took place.
_TOLD = """
create table told as
select e.*,
    e.event_id is not null and row_number() over (
        partition by e.event_id, e.request_id, e.doc_id, e.type, e.value order by e.ts) > 1
        as is_repeated,
    e.doc_id is not null and s.doc_id is null as is_stray
from events e semi join usable u using (request_id)
left join shown s on e.request_id = s.request_id and e.doc_id = s.doc_id
where e.ts <= $end"""


@dataclass(frozen=True)
class EventsLeftOut:
    """Those that were sent again, and those about documents that their requests did not show."""

    repeated: int = 0
    not_shown: int = 0


def tell_events(
    connection: duckdb.DuckDBPyConnection, times: Mapping[str, datetime]
) -> EventsLeftOut:
    """Fill the table told with the events of usable requests, less what is left out.

    Two rows of one event_id that say different things both stay, for validate to refuse.
    """
    connection.execute(_SHOWN)
    connection.execute(_TOLD, {"end": times["end"]})
    repeated = number(connection, "select count(*) from told where is_repeated")
    connection.execute("delete from told where is_repeated")
    every = number(connection, "select count(*) from told")
    strays = number(connection, "select count(*) from told where is_stray")
    if strays > _MOST_NOT_SHOWN * every:
        return EventsLeftOut(repeated, 0)
    connection.execute("delete from told where is_stray")
    return EventsLeftOut(repeated, strays)
