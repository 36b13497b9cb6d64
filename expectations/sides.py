"""Whether the split holds what it promises: queries that ask the same fall on one side of it."""

import unicodedata
from collections.abc import Callable, Sequence

import duckdb
import numpy as np
import pyarrow as pa

from expectations.check import Suite
from expectations.judgements import split_suite
from perennial.data.split import content_key

# Spellings of one query share a place, so that a sample holds all or none of them.
_QUERIES = """
    WITH asked AS (FROM requests SELECT query UNION FROM judgements SELECT query)
    SELECT query FROM asked WHERE query IS NOT NULL
    ORDER BY md5(lower(nfc_normalize(query))), query LIMIT 20_000"""


def side_suite(
    connection: duckdb.DuckDBPyConnection, *, is_held_out: Callable[[Sequence[str]], np.ndarray]
) -> Suite:
    """The promise of all queries, logged and judged; of 20,000 where there are more."""
    queries = [row[0] for row in connection.execute(_QUERIES).fetchall()]
    return Suite("judgements", sides(queries, is_held_out=is_held_out), split_suite())


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
