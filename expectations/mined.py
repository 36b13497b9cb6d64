"""What was mined, looked at where the file lies: DuckDB finds the rows that a ban forbids."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from expectations.check import Suite
from expectations.triplets import Ban

FACTS = """
CREATE TEMP TABLE triplets AS
    SELECT row_number() OVER () AS row, * FROM read_parquet('{triplets}');
CREATE TEMP TABLE catalogue AS
    SELECT doc_id, any_value(md5(trim(title) || chr(0) || trim(text))) AS words
    FROM read_parquet('{catalogue}') GROUP BY doc_id;
CREATE TEMP TABLE answers AS
    SELECT query, positive AS doc_id, any_value(words) AS words
    FROM triplets LEFT JOIN catalogue ON doc_id = positive GROUP BY query, positive;
CREATE TEMP TABLE negatives AS
    SELECT row, query, positive, n.doc_id AS negative, n.origin AS origin, n.score AS score, words
    FROM (SELECT row, query, positive, unnest(negatives) AS n FROM triplets)
    LEFT JOIN catalogue ON catalogue.doc_id = n.doc_id;
"""


def count(
    triplets: Path,
    catalogue: Path,
    bans: Sequence[Ban],
    *,
    is_held_out: Callable[[Sequence[str]], np.ndarray],
    sample_rows: int,
    memory_mb: int,
) -> tuple[Suite, dict[str, int]]:
    """The counts that Great Expectations judges, and the rows of triplets, queries, negatives."""
    connection = duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "threads": 2})
    connection.execute("SET enable_progress_bar = false")
    places = {"triplets": triplets, "catalogue": catalogue}
    connection.execute(FACTS.format(**{k: str(p).replace("'", "''") for k, p in places.items()}))
    found = connection.sql("SELECT DISTINCT query FROM triplets WHERE query IS NOT NULL ORDER BY 1")
    asked = [str(query) for (query,) in found.fetchall()]
    sides = pa.table(
        {
            "query": pa.array(asked, pa.string()),
            "is_held_out": pa.array(is_held_out(asked).astype(bool)),
        }
    )
    connection.register("queries", sides)
    connection.execute(
        "CREATE TEMP TABLE hubs AS SELECT negative, count(*) / sum(count(*)) OVER () AS share"
        " FROM negatives GROUP BY negative"
    )
    rows = {
        name: _one(connection, f"SELECT count(*) FROM {name}")  # noqa: S608
        for name in ("triplets", "queries", "negatives", "hubs")
    }
    broken = {b.name: _one(connection, _broken("count(*)", b)) for b in bans}
    by_name = {ban.name: ban for ban in bans}

    def sample(name: str) -> list[dict[str, Any]]:
        ban = by_name[name]
        own = ", ".join(dict.fromkeys(["negative" if ban.among == "hubs" else "query", *ban.about]))
        shown = connection.sql(f"{_broken(own, ban)} ORDER BY ALL LIMIT {sample_rows}")
        found: list[dict[str, Any]] = shown.to_arrow_table().to_pylist()
        return found

    frame = pa.table({name: [number] for name, number in broken.items()})
    promises = [ban.expectation(rows[ban.among]) for ban in bans]
    return Suite("triplets", frame, promises, sample=sample), rows


def _broken(what: str, ban: Ban) -> str:
    return f"SELECT {what} FROM {ban.among} WHERE {ban.where}"  # noqa: S608 - our own words


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    ((number,),) = connection.execute(query).fetchall()  # all: a result left open blocks the next
    return int(number)
