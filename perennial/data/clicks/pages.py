"""A log as the distinct pages that people saw: what every click model is fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from perennial.errors import BadInput

DEEPEST = 60  # ranks looked at; a page's clicks are the bits of one integer
_MEMORY = "2GB"

_NUMBERED = """
create temp table numbered_{kind} as
select {kind} as value, (row_number() over (order by {kind}) - 1)::integer as number
from (select distinct {kind} from read_parquet(${plural}))"""
_CLICKS = """
create temp table clicked as
select request_id, doc_id,
       case when bool_or(type = 'convert') then 1.0
            when max(value) filter (type = 'dwell') < $short then $weight
            else 1.0 end as satisfied
from read_parquet($events) group by request_id, doc_id
having bool_or(type in ('click', 'convert'))"""
_PAGES = """
select query, docs, clicks, count(*) as seen from (
    select any_value(a.query) as query, list(d.number order by i.rank) as docs,
           bit_or(case when c.request_id is null then 0::bigint
                       else 1::bigint << (i.rank - 1) end) as clicks
    from read_parquet($impressions) i
    join asked a on a.request_id = i.request_id
    join numbered_doc_id d on d.value = i.doc_id
    left join clicked c on c.request_id = i.request_id and c.doc_id = i.doc_id
    where i.rank <= $deepest
    group by i.request_id
    having max(i.rank) = count(*))
group by all order by all"""
# A list of two releases in one is of a rollout: neither ranked it, and no model describes it.
_ALL = """
select count(distinct request_id) as seen from read_parquet($impressions)
where request_id not in (
    select request_id from read_parquet($requests) where arm = 'interleaved')"""
_SATISFACTION = """
select a.query, d.number as doc, count(*) as clicks, sum(c.satisfied) as satisfied
from clicked c join asked a using (request_id) join numbered_doc_id d on d.value = c.doc_id
group by all"""


@dataclass(frozen=True)
class Pages:
    """p distinct pages of at most k ranks, each with its clicks and how often it was seen so.

    `pairs` is (p, k) numbers of (query, document) pairs, -1 below a page's end; `clicked` (p, k)
    bool; `seen` (p,). Of each pair: its query and document, and the mean weight of its clicks.
    """

    pairs: np.ndarray
    clicked: np.ndarray
    seen: np.ndarray
    pair_query: np.ndarray
    pair_doc: np.ndarray
    satisfaction: np.ndarray
    queries: Sequence[str]
    doc_ids: np.ndarray
    left_out: int = 0  # requests whose ranks have a gap, or that nobody made

    @property
    def shown(self) -> np.ndarray:
        """(p, k) bool: where a document stood."""
        return self.pairs >= 0

    def of_queries(self, chosen: np.ndarray) -> "Pages":
        """The pages of some queries, (queries,) bool; all pairs keep their numbers."""
        first = np.maximum(self.pairs[:, 0], 0) if self.pairs.shape[1] else np.zeros(0, dtype=int)
        kept = chosen[self.pair_query[first]] if len(first) else np.zeros(0, dtype=bool)
        rows = {"pairs": self.pairs[kept], "clicked": self.clicked[kept], "seen": self.seen[kept]}
        return replace(self, **rows)

    def per_pair(self, values: np.ndarray) -> np.ndarray:
        """(p, k) values of impressions, weighed by how often they were seen, to sums per pair."""
        shown = self.shown
        weights = (values * self.seen[:, None])[shown]
        return np.bincount(self.pairs[shown], weights, minlength=len(self.pair_query))

    def per_rank(self, values: np.ndarray) -> np.ndarray:
        """The same to (k,) sums per rank."""
        sums: np.ndarray = np.where(self.shown, values * self.seen[:, None], 0.0).sum(axis=0)
        return sums


def read_pages(
    *,
    requests: Path,
    impressions: Path,
    events: Path,
    short_dwell_seconds: float,
    short_dwell_weight: float,
) -> Pages:
    """Log files to pages; raises BadInput where a file is missing.

    A click that was left again within `short_dwell_seconds` satisfies by `short_dwell_weight`; one
    that led to a conversion satisfies whatever its dwell was.
    """
    files = {"requests": requests, "impressions": impressions, "events": events}
    for path in files.values():
        if not path.is_file():
            raise BadInput(f"{path} is missing; run `python -m expectations` in the workspace")
    with duckdb.connect(config={"threads": 2, "memory_limit": _MEMORY}) as connection:
        connection.execute("set enable_progress_bar = false")

        def ask(query: str, **more: object) -> Any:
            given = {name: str(path) for name, path in files.items()} | more
            named = {n: v for n, v in given.items() if f"${n}" in query}
            found = connection.sql(query, params=named)
            return None if found is None else found.to_arrow_table()

        for kind, plural in (("query", "requests"), ("doc_id", "impressions")):
            ask(_NUMBERED.format(kind=kind, plural=plural))
        ask(
            "create temp table asked as select request_id, n.number as query "
            "from read_parquet($requests) r join numbered_query n on n.value = r.query "
            "where r.arm <> 'interleaved'"
        )
        ask(_CLICKS, short=short_dwell_seconds, weight=short_dwell_weight)
        queries = ask("from numbered_query order by number")
        documents = ask("from numbered_doc_id order by number")
        found, weights = ask(_PAGES, deepest=DEEPEST), ask(_SATISFACTION)
        every = ask(_ALL)["seen"][0].as_py()
    pages = _pages(found, weights, queries=queries["value"], doc_ids=documents["value"])
    return replace(pages, left_out=every - int(pages.seen.sum()))


def _pages(
    found: pa.Table, weights: pa.Table, *, queries: pa.ChunkedArray, doc_ids: pa.ChunkedArray
) -> Pages:
    lists = found["docs"].combine_chunks()
    ends = lists.offsets.to_numpy()
    lengths, documents = np.diff(ends), max(len(doc_ids), 1)
    deep = int(lengths.max()) if len(lengths) else 0
    shown = np.arange(deep) < lengths[:, None]
    query = np.repeat(found["query"].to_numpy().astype(np.int64), lengths)
    keys = query * documents + lists.flatten().to_numpy()
    pairs = np.full(shown.shape, -1, dtype=np.int32)
    distinct, pairs[shown] = np.unique(keys, return_inverse=True)
    bits = found["clicks"].to_numpy()
    clicked = (bits[:, None] >> np.arange(deep, dtype=np.int64)) & 1 == 1
    satisfaction = np.ones(len(distinct))
    if len(weights) and len(distinct):
        keys = weights["query"].to_numpy().astype(np.int64) * documents + weights["doc"].to_numpy()
        place = np.searchsorted(distinct, keys).clip(max=len(distinct) - 1)
        known = distinct[place] == keys
        mean = weights["satisfied"].to_numpy().astype(float) / weights["clicks"].to_numpy()
        satisfaction[place[known]] = mean[known]
    return Pages(
        pairs=pairs,
        clicked=clicked,
        seen=found["seen"].to_numpy().astype(np.float64),
        pair_query=(distinct // documents).astype(np.int32),
        pair_doc=(distinct % documents).astype(np.int32),
        satisfaction=satisfaction,
        queries=queries.to_pylist(),
        doc_ids=doc_ids.to_numpy(),
    )
