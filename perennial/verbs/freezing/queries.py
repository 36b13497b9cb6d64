"""Queries without personal data, and without those that too few people asked."""

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from perennial.data.redaction import KINDS, redact
from perennial.data.split import content_key
from perennial.verbs.freezing.log import insert, number, stream

_DISTINCT = "select distinct query from {} where query is not null"
# Queries that ask the same thing are one; sessions are counted before they are renamed.
_RARE = """
    create table rare as select plain, key from keys semi join (
        select key from asked a
        left join redacted t on a.query = t.query
        join keys k on k.plain = coalesce(t.plain, a.query)
        group by key having count(distinct session_id) < {}) using (key)"""
_RARELY_ASKED = """
    create table seldom as select distinct request_id from asked a
    left join redacted t on a.query = t.query semi join rare r
    on r.plain = coalesce(t.plain, a.query)"""


@dataclass(frozen=True)
class Rare:
    """What was left out: distinct queries, and the requests that asked them."""

    queries: int
    requests: int


def redact_queries(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill the table redacted: each query of requests and judgements that is changed, as `plain`,
    with its findings by kind; every distinct one is looked at once."""
    kinds = ", ".join(f"{kind} integer" for kind in KINDS)
    connection.execute(f"create table redacted (query varchar, plain varchar, {kinds})")
    query = f"{_DISTINCT.format('asked')} union {_DISTINCT.format('judgements')}"
    for batch in stream(connection, query):
        found = [
            {"query": each, "plain": plain} | counts
            for each in batch["query"].to_pylist()
            for plain, counts in (redact(each),)
            if plain != each
        ]
        if found:
            insert(connection, "redacted", pa.Table.from_pylist(found))


def leave_out_rare(connection: duckdb.DuckDBPyConnection, *, min_sessions: int) -> Rare:
    """Take from the tables usable and asked what fewer than `min_sessions` sessions asked."""
    if min_sessions <= 1:
        return Rare(0, 0)
    connection.execute("create table keys (plain varchar, key varchar)")
    query = """
        select distinct coalesce(plain, a.query) as plain
        from asked a left join redacted t on a.query = t.query where a.query is not null"""
    for batch in stream(connection, query):
        keys = pa.array([content_key(each) for each in batch["plain"].to_pylist()], pa.string())
        insert(connection, "keys", pa.table({"plain": batch["plain"], "key": keys}))
    connection.execute(_RARE.format(int(min_sessions)))
    connection.execute(_RARELY_ASKED)
    for table in ("usable", "asked"):
        connection.execute(
            f"delete from {table} where request_id in (select request_id from seldom)"  # noqa: S608
        )
    return Rare(
        queries=number(connection, "select count(*) from rare"),
        requests=number(connection, "select count(*) from seldom"),
    )


def findings(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[str, int]:
    """{kind: findings} in the queries of the rows that a table or query holds."""
    sums = ", ".join(f"coalesce(sum({kind}), 0)" for kind in KINDS)
    query = f"select {sums} from {rows} r join redacted t on r.query = t.query"  # noqa: S608
    (found,) = connection.execute(query).fetchall()
    return {kind: int(count) for kind, count in zip(KINDS, found, strict=True)}
