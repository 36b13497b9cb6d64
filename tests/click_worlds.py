"""Logs of people whose habits are known: pages in memory, or the three tables in a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.clicks.pages import Pages
from perennial.data.schema import TABLES

Users = Callable[..., np.ndarray]
DECAY = np.arange(1, 11) ** -0.6


def orders(
    generator: np.random.Generator, *, queries: int, ranks: int, seen: int, explore: float
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) queries and (n, ranks) documents: one ranking a query, now and then two swapped."""
    query = np.repeat(np.arange(queries), seen)
    order = np.tile(np.arange(ranks), (len(query), 1))
    swapped = np.flatnonzero(generator.random(len(query)) < explore)
    upper = generator.integers(0, ranks - 1, len(swapped))
    order[swapped, upper] += 1
    order[swapped, upper + 1] -= 1
    return query, order


def truth(generator: np.random.Generator, *, queries: int, ranks: int) -> np.ndarray:
    """(queries, ranks) relevance: mostly little, better towards the top, with exceptions."""
    base = generator.beta(0.8, 3.0, size=(queries, ranks)) + 0.35 * (
        generator.random((queries, ranks)) < 0.5 / np.arange(1, ranks + 1) ** 0.5
    )
    return np.clip(base, 0.01, 0.95)


def pages_of(query: np.ndarray, order: np.ndarray, clicked: np.ndarray) -> Pages:
    """The distinct pages of a log, as read_pages would find them."""
    ranks = order.shape[1]
    rows = np.concatenate([query[:, None], order, clicked.astype(int)], axis=1)
    distinct, seen = np.unique(rows, axis=0, return_counts=True)
    pairs = distinct[:, :1] * ranks + distinct[:, 1 : ranks + 1]
    known, place = np.unique(pairs, return_inverse=True)
    return Pages(
        pairs=place.reshape(pairs.shape).astype(np.int32),
        clicked=distinct[:, ranks + 1 :] > 0,
        seen=seen.astype(float),
        pair_query=(known // ranks).astype(np.int32),
        pair_doc=(known % ranks).astype(np.int32),
        satisfaction=np.ones(len(known)),
        queries=[f"q{number}" for number in range(int(query.max()) + 1)],
        doc_ids=np.array([f"d{number}" for number in range(ranks)]),
    )


def world(
    users: Users,
    *,
    seed: int,
    queries: int = 60,
    ranks: int = 10,
    seen: int = 2000,
    explore: float = 0.3,
    **habits: object,
) -> tuple[Pages, np.ndarray]:
    """Pages and the (pairs,) true relevance of their pairs."""
    generator = np.random.default_rng(seed)
    wanted = truth(generator, queries=queries, ranks=ranks)
    query, order = orders(generator, queries=queries, ranks=ranks, seen=seen, explore=explore)
    clicked = users(wanted[query[:, None], order], generator=generator, **habits)
    pages = pages_of(query, order, clicked)
    return pages, wanted[pages.pair_query, pages.pair_doc]


def write_log(
    folder: Path, query: np.ndarray, order: np.ndarray, clicked: np.ndarray
) -> dict[str, Path]:
    """requests, impressions and events as parquet files of few columns."""
    count, ranks = order.shape
    ids = np.array([f"r{number:07d}" for number in range(count)])
    row, rank = np.nonzero(clicked)
    tables = {
        "requests": {"request_id": ids, "query": [f"q{q}" for q in query]},
        "impressions": {
            "request_id": np.repeat(ids, ranks),
            "doc_id": [f"d{d}" for d in order.ravel()],
            "rank": np.tile(np.arange(1, ranks + 1, dtype=np.int32), count),
        },
        "events": {
            "event_id": [f"e{number}" for number in range(len(row))],
            "request_id": ids[row],
            "doc_id": [f"d{d}" for d in order[row, rank]],
            "type": ["click"] * len(row),
            "value": np.full(len(row), np.nan),
        },
    }
    paths = {}
    for name, columns in tables.items():
        paths[name] = folder / f"{name}.parquet"
        fields = [TABLES[name].field(column).with_nullable(True) for column in columns]
        arrays = [pa.array(v, f.type) for v, f in zip(columns.values(), fields, strict=True)]
        pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), paths[name])
    return paths
