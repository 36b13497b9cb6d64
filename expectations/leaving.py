"""Which rows of the log leave, and why: requests with a broken row go whole, bots too.

So pages stay contiguous. Rows whose request is unknown go alone.
"""

import duckdb
import pyarrow as pa

from expectations.check import Suite
from expectations.promise import at_most
from perennial.data.schema import LOG_TABLES

BOT = "bot"
_SOURCES = ("requests", "impressions", "pages", "events")
# The first reason counts: bots before what is wrong with their rows, requests before their pages.
_REQUESTS = """
    CREATE TEMP TABLE leaving AS
    SELECT request_id, arg_min(reason, (place, row)) AS reason FROM (
        SELECT request_id, 'bot' AS reason, 0 AS place, row FROM requests
        SEMI JOIN bots USING (session_id) WHERE request_id IS NOT NULL
        {broken})
    GROUP BY request_id"""
_BROKEN = """
        UNION ALL SELECT request_id, reason, {place}, row FROM {source}_broken
        WHERE request_id IS NOT NULL"""
_ROWS = """
    CREATE TEMP TABLE leaving_{table} AS
    SELECT t.row, coalesce(l.reason, {own}) AS reason
    FROM {table} t LEFT JOIN leaving l USING (request_id) {alone}
    WHERE l.request_id IS NOT NULL OR {own} IS NOT NULL"""

_STAYS = """
    CREATE TEMP VIEW accepted_{table} AS
    SELECT * FROM {table} ANTI JOIN leaving_{table} USING (row)"""


def leave(connection: duckdb.DuckDBPyConnection, *, broken_too: bool) -> dict[str, pa.Table]:
    """Bots, and what is broken if `broken_too`: (row, reason) by table, in the order of rows.

    What stays is then in the relations accepted_requests, accepted_impressions, accepted_events.
    """
    unions = [_BROKEN.format(place=at, source=name) for at, name in enumerate(_SOURCES, 1)]
    connection.execute(_REQUESTS.format(broken="".join(unions) if broken_too else ""))
    rows = {}
    for table in LOG_TABLES:
        alone = f"LEFT JOIN {table}_broken b ON b.row = t.row" if broken_too else ""
        own = "b.reason" if broken_too else "NULL"
        if table == "requests":  # one without an id is no less a bot's
            alone += " LEFT JOIN bots ON bots.session_id = t.session_id"
            own = f"CASE WHEN bots.session_id IS NOT NULL THEN 'bot' ELSE {own} END"
        connection.execute(_ROWS.format(table=table, own=own, alone=alone))
        connection.execute(_STAYS.format(table=table))
        rows[table] = connection.sql(
            f"SELECT row, reason FROM leaving_{table} ORDER BY row"  # noqa: S608
        ).to_arrow_table()
    return rows


def reasons(rows: pa.Table) -> dict[str, int]:
    """How many rows leave for each reason, by name."""
    counts = rows.group_by("reason").aggregate([("reason", "count")]).to_pylist()
    return {
        each["reason"]: each["reason_count"]
        for each in sorted(counts, key=lambda each: str(each["reason"]))
    }


def share_suite(table: str, left: dict[str, int], rows: int, max_share: float) -> Suite:
    """More than `max_share` of a table in quarantine, bots aside, is a fault of the export."""
    count = sum(count for reason, count in left.items() if reason != BOT)
    expectation = at_most(
        int(max_share * rows),
        "quarantined",
        f"at most {max_share:.1%} of the rows may go to quarantine",
        "repair the source, or raise validate.max_quarantined_share",
        of=rows,
        about=["reason"],
    )
    return Suite(table, pa.table({"quarantined": [count]}), [expectation])
