"""Rules over tables of any size: DuckDB keeps the broken rows, their number and a few of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from expectations.check import Suite
from expectations.facts import PAGE
from expectations.promise import Least, Rule
from perennial.data.schema import TABLES

ROW = pa.int64()  # the row number; no column of ours has its type


def find(
    connection: duckdb.DuckDBPyConnection, source: str, rules: Sequence[Rule]
) -> dict[str, int]:
    """How many rows of `<source>_facts` break each rule, by its name.

    The broken ones stay as the table `<source>_broken`: row, request_id (where there is one), one
    flag for each rule, and `reason`, the name of the first that is broken.
    """
    if not rules:
        connection.execute(
            f"CREATE TEMP TABLE {source}_broken (row BIGINT, request_id VARCHAR, reason VARCHAR)"
        )
        return {}
    key = "NULL" if source in ("catalogue", "judgements") else "request_id"
    flags = ", ".join(f"coalesce({rule.broken}, false) AS {rule.name}" for rule in rules)
    first = " ".join(f"WHEN {rule.name} THEN '{rule.name}'" for rule in rules)
    any_of = " OR ".join(rule.name for rule in rules)
    counts = ", ".join(f"count(*) FILTER (WHERE {rule.name})" for rule in rules)
    connection.execute(
        f"""CREATE TEMP TABLE {source}_broken AS
            WITH seen AS (SELECT row, {key}::VARCHAR AS request_id, {flags} FROM {source}_facts)
            SELECT *, CASE {first} END AS reason FROM seen WHERE {any_of}"""  # noqa: S608 - our own
    )
    row = connection.execute(f"SELECT {counts} FROM {source}_broken").fetchone()  # noqa: S608
    return {rule.name: int(count) for rule, count in zip(rules, row or (), strict=True)}


def count_suite(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    rules: Sequence[Rule | Least],
    *,
    table: str,
    broken: Mapping[str, int],
    there: Mapping[str, int],
    critical: bool,
    sample_rows: int,
) -> Suite:
    """What Great Expectations judges of a source: one row of counts, a column for each rule.

    `there` holds what is counted of the accepted log; `critical` speaks of rows, the log must be
    long enough either way.
    """
    named = {rule.name: rule for rule in rules if isinstance(rule, Rule)}
    counts = {name: broken.get(name, 0) for name in named}
    counts |= {rule.what: there[rule.what] for rule in rules if isinstance(rule, Least)}
    rows = _rows(connection, source)
    return Suite(
        table,
        pa.table({name: [count] for name, count in counts.items()}),
        [
            rule.expectation(rows, critical=critical)
            if isinstance(rule, Rule)
            else rule.expectation()
            for rule in rules
        ],
        sample=lambda name: sample(connection, source, named[name], rows=sample_rows),
    )


def _rows(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    """The rows of a source; of pages, the requests that showed something."""
    what = "count(*) FROM " + source
    if source == "pages":
        what = "count(DISTINCT request_id) FROM impressions"
    elif source == "clicks":
        what = "0"
    row = connection.execute(f"SELECT {what}").fetchone()
    return int(row[0]) if row else 0


def sample(
    connection: duckdb.DuckDBPyConnection, source: str, rule: Rule, *, rows: int
) -> list[dict[str, Any]]:
    """The first broken rows of a rule, as arrow holds them: pandas would blur null and NaN."""
    broken = connection.execute(
        f"SELECT row, request_id FROM {source}_broken WHERE {rule.name} ORDER BY row LIMIT ?",  # noqa: S608
        [rows],
    ).fetchall()
    if source == "pages":
        ids = [request for _, request in broken]
        return connection.sql(PAGE, params={"ids": ids}).to_arrow_table().to_pylist()
    places = ", ".join(str(row) for row, _ in broken)
    facts = connection.sql(
        f"SELECT * FROM {source}_facts WHERE row IN ({places}) ORDER BY row"  # noqa: S608
    ).to_arrow_table()
    own = TABLES[source].names
    shown = [f.name for f in facts.schema if f.name in own or f.type not in (pa.bool_(), ROW)]
    found: list[dict[str, Any]] = facts.select(shown).to_pylist()
    return found
