"""The part of a log from which clicks on other rankings can be told: pages with propensities."""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

_MEMORY = "2GB"
_PAGES = """
with taken as (
    select request_id, session_id, query, explored from read_parquet($requests)
    where arm <> 'interleaved' and trim(query) <> ''
    order by md5(request_id || $seed::varchar), request_id limit $most),
clicked as (
    select distinct request_id, doc_id from read_parquet($events)
    where type in ('click', 'convert'))
select request_id, any_value(t.query) as query, any_value(t.session_id) as session,
       any_value(t.explored) as explored, list(i.doc_id order by i.rank) as docs,
       list(i.propensity order by i.rank) as propensities,
       list(c.request_id is not null order by i.rank) as clicks
from taken t join read_parquet($impressions) i using (request_id)
left join clicked c using (request_id, doc_id)
group by request_id
having max(i.rank) = count(*) and count(distinct i.rank) = count(*)
   and count(distinct i.doc_id) = count(*) and count(i.propensity) = count(*)
   and min(i.propensity) > 0 and max(i.propensity) <= 1
order by request_id"""


@dataclass(frozen=True)
class Explored:
    """n pages of at most k ranks: (n, k) shown documents, None below a page's end, the chance of
    each to stand where it stood, and whether it was clicked.

    `queries` are the distinct ones; `query` and `session` are (n,) numbers; `is_explored` (n,) says
    where the page is not the ranking. Pages without propensities, with gaps, or with a document
    twice are not among them.
    """

    queries: list[str]
    query: np.ndarray
    session: np.ndarray
    is_explored: np.ndarray
    shown: np.ndarray
    propensity: np.ndarray
    clicked: np.ndarray


def read_explored(
    *, requests: Path, impressions: Path, events: Path, most: int, k: int, seed: int
) -> Explored:
    """A sample of at most `most` requests, the same for the same log."""
    files = {"requests": requests, "impressions": impressions, "events": events}
    given = {name: str(path) for name, path in files.items()} | {"most": most, "seed": seed}
    with duckdb.connect(config={"threads": 2, "memory_limit": _MEMORY}) as connection:
        connection.execute("set enable_progress_bar = false")
        found = connection.sql(_PAGES, params=given).to_arrow_table()
    queries, query = np.unique(found["query"].to_numpy().astype(str), return_inverse=True)
    _, session = np.unique(found["session"].to_numpy().astype(str), return_inverse=True)
    return Explored(
        queries=[str(text) for text in queries],
        query=query,
        session=session,
        is_explored=found["explored"].to_numpy().astype(bool),
        shown=_table(found["docs"], k, None, object),
        propensity=_table(found["propensities"], k, 1.0, np.float64),
        clicked=_table(found["clicks"], k, False, np.bool_),
    )


def _table(column: pa.ChunkedArray, k: int, empty: object, dtype: type) -> np.ndarray:
    """Lists to (n, k), cut or filled up."""
    lists = column.combine_chunks()
    ends = lists.offsets.to_numpy()
    lengths = np.diff(ends)
    wide = max(int(lengths.max(initial=0)), k)
    table: np.ndarray = np.full((len(lengths), wide), empty, dtype=dtype)
    table[np.arange(wide) < lengths[:, None]] = lists.flatten().to_numpy(zero_copy_only=False)
    return table[:, :k]
