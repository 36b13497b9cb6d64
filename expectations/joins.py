"""What one row cannot say of itself: flags worked out across tables, in DuckDB, as columns.

Every flag is null where its question makes no sense (an unknown request has shown nothing), and
Great Expectations passes over nulls, so that one mistake is reported once.
"""

import unicodedata
from collections.abc import Callable, Sequence

import duckdb
import numpy as np
import pyarrow as pa

from perennial.data.split import content_key

FLAGS = {
    "catalogue": """
        SELECT regexp_matches(text, '[\\p{L}\\p{N}]') AS text_has_words
        FROM catalogue ORDER BY row""",
    "requests": """
        SELECT regexp_matches(query, '[^\\s\\p{Z}\\p{C}]') AS query_is_not_blank,
               coalesce(isfinite(latency_ms) AND latency_ms >= 0, false) AS latency_is_a_duration
        FROM requests ORDER BY row""",
    "impressions": """
        SELECT coalesce(isfinite(score), false) AS score_is_finite,
               isfinite(propensity) AND propensity > 0 AND propensity <= 1
                   AS propensity_is_a_chance,
               CASE WHEN request_id IS NOT NULL THEN
                   EXISTS (FROM requests r WHERE r.request_id = i.request_id)
               END AS request_is_known,
               CASE WHEN doc_id IS NOT NULL THEN
                   EXISTS (FROM catalogue c WHERE c.doc_id = i.doc_id)
               END AS document_is_known
        FROM impressions i ORDER BY row""",
    "events": """
        SELECT isfinite(value) AS value_is_finite,
               CASE WHEN request_id IS NOT NULL THEN asked.request_id IS NOT NULL
               END AS request_is_known,
               CASE WHEN asked.request_id IS NOT NULL AND doc_id IS NOT NULL THEN
                   EXISTS (FROM impressions i
                           WHERE i.request_id = e.request_id AND i.doc_id = e.doc_id)
               END AS document_was_shown,
               (epoch_us(e.ts) - epoch_us(asked.ts)) / 1e6 AS seconds_after_request
        FROM events e
        LEFT JOIN (SELECT request_id, min(ts) AS ts FROM requests GROUP BY request_id) asked
            USING (request_id)
        ORDER BY row""",
    "judgements": """
        SELECT regexp_matches(query, '[\\p{L}\\p{N}]') AS query_has_words,
               CASE WHEN doc_id IS NOT NULL THEN
                   EXISTS (FROM catalogue c WHERE c.doc_id = j.doc_id)
               END AS document_is_known
        FROM judgements j ORDER BY row""",
}
PAGES = """
    SELECT request_id, count(*) AS shown, min(rank) AS first_rank, max(rank) AS last_rank,
           list(rank ORDER BY rank)[:20]::VARCHAR AS rank,
           count(rank) = count(*) AND min(rank) = 1 AND max(rank) = count(*)
               AND count(DISTINCT rank) = count(*) AS ranks_are_contiguous
    FROM impressions WHERE request_id IS NOT NULL
    GROUP BY request_id ORDER BY min(row)"""
CLICKS = "SELECT event_id FROM events WHERE type = 'click' ORDER BY row"
QUERIES = """
    SELECT query FROM (FROM requests SELECT query UNION FROM judgements SELECT query)
    WHERE query IS NOT NULL ORDER BY query"""


def joined(
    tables: dict[str, pa.Table], *, is_held_out: Callable[[Sequence[str]], np.ndarray]
) -> dict[str, pa.Table]:
    """The fitted tables with their flags, and the frames `pages`, `clicks` and `queries`."""
    with duckdb.connect(config={"threads": 2}) as connection:
        for name, table in tables.items():
            row = pa.array(np.arange(table.num_rows))
            connection.register(name, _without_zones(table).append_column("row", row))
        frames = {}
        for name, table in tables.items():
            flags = connection.sql(FLAGS[name]).to_arrow_table()
            for field in flags.schema:
                table = table.append_column(field, flags.column(field.name))
            frames[name] = table
        frames["pages"] = connection.sql(PAGES).to_arrow_table()
        frames["clicks"] = connection.sql(CLICKS).to_arrow_table()
        queries = connection.sql(QUERIES).to_arrow_table().column("query").to_pylist()
    frames["queries"] = sides(queries, is_held_out=is_held_out)
    return frames


def sides(
    queries: Sequence[str], *, is_held_out: Callable[[Sequence[str]], np.ndarray]
) -> pa.Table:
    """One row per query: query, asks (its content words in NFKC), side, falls_on_one_side."""
    held_out = is_held_out(queries).astype(bool)
    asks = [content_key(unicodedata.normalize("NFKC", query)) for query in queries]
    first: dict[str, bool] = {}
    one_side = [
        first.setdefault(key, side) == side for key, side in zip(asks, held_out, strict=True)
    ]
    torn = {key for key, same in zip(asks, one_side, strict=True) if not same}
    return pa.table(
        {
            "query": pa.array(queries, pa.string()),
            "asks": pa.array(asks, pa.string()),
            "side": pa.array(np.where(held_out, "held-out", "train").tolist(), pa.string()),
            "falls_on_one_side": pa.array([key not in torn for key in asks], pa.bool_()),
        }
    )


def _without_zones(table: pa.Table) -> pa.Table:
    """Times as plain UTC: DuckDB needs an extension for zones, which offline it may not have."""
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            plain = pa.timestamp(field.type.unit)
            table = table.set_column(at, field.name, table.column(at).cast(plain))
    return table
