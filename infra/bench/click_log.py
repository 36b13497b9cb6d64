"""Millions of impressions of people whose habits are known, written in parts to parquet."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.schema import EVENTS, IMPRESSIONS, REQUESTS
from perennial.simulation.users import position_based

RANKS = 10
PROPENSITIES = np.arange(1, RANKS + 1) ** -0.6
_PART = 200_000  # requests
_EXPLORED = 0.1
_START = 1_767_571_200_000_000  # 2026-01-05, microseconds


def write_click_log(
    folder: Path, *, requests: int, queries: int, documents: int, seed: int
) -> dict[str, Path]:
    """The files of `requests` pages of ten results each; queries are asked as Zipf's law has it,
    each has one ranking, and one page in ten shows two neighbours swapped."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    rankings = generator.integers(0, documents - RANKS, queries)[:, None] + np.arange(RANKS)
    relevance = np.clip(generator.beta(0.5, 4.0, (queries, RANKS)), 0.005, 0.95)
    relevance[:, 0] = np.maximum(relevance[:, 0], 0.4)
    weights = 1.0 / np.arange(1, queries + 1) ** 0.9
    chances = np.cumsum(weights / weights.sum())
    paths = {name: folder / f"{name}.parquet" for name in ("requests", "impressions", "events")}
    schemas = {"requests": REQUESTS, "impressions": IMPRESSIONS, "events": EVENTS}
    writers = {name: pq.ParquetWriter(path, schemas[name]) for name, path in paths.items()}
    for start in range(0, requests, _PART):
        count = min(_PART, requests - start)
        query = np.searchsorted(chances, generator.random(count)).clip(max=queries - 1)
        order = _orders(generator, count)
        clicked = position_based(
            relevance[query[:, None], order], propensities=PROPENSITIES, generator=generator
        )
        parts = _tables(start, query, rankings[query[:, None], order], clicked)
        for name, columns in parts.items():
            schema = schemas[name]
            arrays = [_column(columns.get(f.name), f, columns) for f in schema]
            writers[name].write_table(pa.Table.from_arrays(arrays, schema=schema))
    for writer in writers.values():
        writer.close()
    return paths


def _orders(generator: np.random.Generator, count: int) -> np.ndarray:
    order = np.tile(np.arange(RANKS), (count, 1))
    rows = np.flatnonzero(generator.random(count) < _EXPLORED)
    upper = generator.integers(0, RANKS - 1, len(rows))
    order[rows, upper] += 1
    order[rows, upper + 1] -= 1
    return order


def _tables(
    start: int, query: np.ndarray, shown: np.ndarray, clicked: np.ndarray
) -> dict[str, dict[str, pa.Array]]:
    count = len(query)
    number = np.arange(start, start + count)
    ids = _named("q-", number)
    ts = _START + number * 1_000_000
    row, rank = np.nonzero(clicked)
    repeated = ids.take(pa.array(np.repeat(np.arange(count), RANKS)))
    everywhere = pa.array(np.full(count, RANKS, dtype=np.int32))
    return {
        "requests": {
            "request_id": ids,
            "session_id": _named("s-", number // 3),
            "ts": pa.array(ts),
            "query": _named("how do I find number ", query),
            "channel": pa.array(["production"] * count),
            "arm": pa.array(["stable"] * count),
            "release_id": pa.array(["rel-000000000000"] * count),
            "n_results": everywhere,
            "latency_ms": pa.array(np.full(count, 12.5)),
            "explored": pa.array((shown != np.sort(shown, axis=1)).any(axis=1)),
        },
        "impressions": {
            "request_id": repeated,
            "doc_id": _named("doc-", shown.ravel()),
            "rank": pa.array(np.tile(np.arange(1, RANKS + 1, dtype=np.int32), count)),
            "score": pa.array(np.full(count * RANKS, 0.5, dtype=np.float32)),
            "release_id": pa.array(["rel-000000000000"]).take(
                pa.array(np.zeros(count * RANKS, dtype=np.int64))
            ),
        },
        "events": {
            "event_id": pc.binary_join_element_wise(
                ids.take(pa.array(row)), pa.array(rank).cast(pa.string()), "-c"
            ),
            "request_id": ids.take(pa.array(row)),
            "doc_id": _named("doc-", shown[row, rank]),
            "type": pa.array(["click"] * len(row)),
            "ts": pa.array(ts[row] + 5_000_000),
        },
    }


def _named(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _column(values: pa.Array | None, field: pa.Field, beside: dict[str, pa.Array]) -> pa.Array:
    if values is None:
        return pa.nulls(len(next(iter(beside.values()))), field.type)
    return values.cast(field.type)
