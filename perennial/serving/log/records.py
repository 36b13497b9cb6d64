"""Answered searches and events, and what they are in the log's tables: columns, never rows.

An answer to 64 queries is 640 impressions: an object for each would cost the next answer its time.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from perennial.data.schema import TABLES

Columns = dict[str, Any]


class Request(NamedTuple):
    """One search of one person, with what was shown, best first.

    `propensities` are the chances of the documents to stand where they do, none where nobody knows;
    an interleaved list has the `teams` of its documents, and `releases`, which found each.
    """

    request_id: str
    session_id: str
    ts: datetime
    query: str
    channel: str
    arm: str
    release_id: str
    latency_ms: float
    explored: bool
    doc_ids: Sequence[str]
    scores: Sequence[float]
    propensities: Sequence[float] = ()
    teams: Sequence[str] = ()
    releases: Sequence[str] = ()


class Event(NamedTuple):
    """What the person then did with one document; its fields are the table's columns."""

    event_id: str
    request_id: str
    doc_id: str
    type: str
    value: float | None
    ts: datetime


def batches_of(records: Sequence[Request | Event]) -> dict[str, pa.RecordBatch]:
    """{table: a batch of its schema}, of those tables that the records have rows of."""
    found: dict[str, Columns] = {}
    if events := [each for each in records if isinstance(each, Event)]:
        found["events"] = _columns(Event._fields, events)
    if requests := [each for each in records if isinstance(each, Request)]:
        asked = _columns(Request._fields, requests)
        counts = [len(doc_ids) for doc_ids in asked["doc_ids"]]
        found["requests"] = asked | {"n_results": counts}
        if any(counts):
            found["impressions"] = _impressions(asked, np.array(counts))
    return {table: _batch(table, columns) for table, columns in found.items()}


def _columns(names: Sequence[str], records: Sequence[Request | Event]) -> Columns:
    return dict(zip(names, zip(*records, strict=True), strict=True))


def _impressions(asked: Columns, counts: np.ndarray) -> Columns:
    request = np.repeat(np.arange(len(counts)), counts)  # of each impression
    first = np.cumsum(counts) - counts

    def each(column: str, otherwise: Sequence[object] = ()) -> list[object] | pa.Array:
        """Every impression's value; of a request that has none its own, or null."""
        lists = asked[column]
        if not any(lists) and otherwise:
            return _repeated(otherwise, request)
        if not all(lists):
            stead = otherwise or [None] * len(counts)
            filled = zip(lists, stead, counts.tolist(), strict=True)
            lists = [values or [value] * count for values, value, count in filled]
        return list(chain.from_iterable(lists))

    return {
        "request_id": _repeated(asked["request_id"], request),
        "doc_id": each("doc_ids"),
        "rank": (np.arange(len(request)) - first[request] + 1).astype(np.int32),
        "score": each("scores"),
        "release_id": each("releases", asked["release_id"]),
        "team": each("teams"),
        "propensity": each("propensities"),
    }


def _repeated(names: Sequence[object], request: np.ndarray) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(request))


def _batch(table: str, columns: Columns) -> pa.RecordBatch:
    schema = TABLES[table]
    given = [(columns[field.name], field.type) for field in schema]
    arrays = [each if isinstance(each, pa.Array) else pa.array(each, kind) for each, kind in given]
    return pa.record_batch(arrays, schema=schema)
