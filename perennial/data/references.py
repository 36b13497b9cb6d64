"""A sample of what people asked last, kept with a release, so that drift is measured by traffic.

Of a channel's people alone: those of another, whose log lies beside it, may ask for other things.
Of each session the first query counts, as for who looks at live traffic: one person, one vote.
"""

from pathlib import Path

import duckdb
import pyarrow as pa

REFERENCES = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),
        pa.field("requests", pa.int64(), nullable=False),  # of the sample
        pa.field("sessions", pa.int64(), nullable=False),  # of all those days, that began with it
    ]
)
_SAMPLE = """
with recent as (
    select query, session_id, request_id, ts from read_parquet($requests)
    where channel = $channel
    qualify ts > max(ts) over () - to_days($days)),
firsts as (
    select query, request_id from recent where trim(query) <> ''
    qualify row_number() over (partition by session_id order by ts, request_id) = 1),
counted as (
    select query, request_id, count(*) over (partition by query) as sessions from firsts),
drawn as (
    select query, sessions from counted
    order by md5(request_id || $seed::varchar), request_id limit $most)
select query, count(*)::bigint as requests, any_value(sessions)::bigint as sessions
from drawn group by query order by query"""


def sample_references(requests: Path, *, channel: str, days: int, most: int, seed: int) -> pa.Table:
    """At most `most` of a channel's first queries of its last `days`, by text, in
    REFERENCES' columns."""
    drawn = {"channel": channel, "days": days, "most": most, "seed": seed}
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        rows = connection.execute(_SAMPLE, {"requests": str(requests), **drawn}).fetchall()
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    return pa.table(columns, schema=REFERENCES)
