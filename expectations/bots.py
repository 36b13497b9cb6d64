"""Sessions at a rate that no person keeps up: scrapers, load tests and monitors teach nothing."""

import duckdb
import pyarrow as pa

from expectations.check import Suite
from expectations.promise import at_most

STOPS = 0.5  # a log of which bots wrote the half is no log of people, whatever is left

# Only sessions with more requests than one bound can be bots, so that few are sorted by time.
_BOTS = """
    CREATE TEMP TABLE bots AS
    WITH busy AS (
        SELECT session_id, count(*) AS requests FROM requests WHERE session_id IS NOT NULL
        GROUP BY session_id HAVING count(*) > least($per_minute, $per_session)),
    paced AS (
        SELECT session_id, epoch_us(ts) - lag(epoch_us(ts), $per_minute)
                   OVER (PARTITION BY session_id ORDER BY ts) AS took
        FROM requests SEMI JOIN busy USING (session_id)),
    fastest AS (SELECT session_id, min(took) AS took FROM paced GROUP BY session_id)
    SELECT session_id, requests FROM busy JOIN fastest USING (session_id)
    WHERE requests > $per_session OR took < 60_000_000"""


def find_bots(
    connection: duckdb.DuckDBPyConnection, *, max_per_minute: int, max_per_session: int
) -> dict[str, int]:
    """The number of bots' sessions and of their requests; they stay as the table `bots`.

    A bot has more than `max_per_session` requests, or more than `max_per_minute` of them within
    any 60 seconds.
    """
    bounds = {"per_minute": max_per_minute, "per_session": max_per_session}
    connection.execute(_BOTS, bounds)
    row = connection.execute("SELECT count(*), coalesce(sum(requests), 0) FROM bots").fetchone()
    sessions, requests = row or (0, 0)
    return {"sessions": int(sessions), "requests": int(requests)}


def bot_suite(bots: dict[str, int], *, rows: int, max_share: float) -> Suite:
    """Bots above `max_share` of the requests warn, above half of them stop."""
    frame = pa.table({"bots": [bots["requests"]]})
    do = (
        "keep robots out of the search, give every person a session of their own, or raise "
        "validate.max_requests_per_minute or validate.max_requests_per_session"
    )
    return Suite(
        "requests",
        frame,
        [
            at_most(
                int(share * rows),
                "bots",
                f"bots may ask at most {share:.0%} of the requests{more}",
                do,
                of=rows,
                about=["session_id"],
                critical=critical,
            )
            for share, more, critical in (
                (max_share, "", False),
                (max(max_share, STOPS), ", or nothing is learnt from people", True),
            )
        ],
    )
