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
    requests = [each for each in records if isinstance(each, Request)]
    events = [each for each in records if isinstance(each, Event)]
    found: dict[str, Columns] = {}
    if events:
        found["events"] = dict(zip(Event._fields, zip(*events, strict=True), strict=True))
    if requests:
        asked: Columns = dict(zip(Request._fields, zip(*requests, strict=True), strict=True))
        counts = [len(each.doc_ids) for each in requests]
        found["requests"] = asked | {"n_results": counts}
        if any(counts):
            found["impressions"] = _impressions(requests, np.array(counts))
    return {table: _batch(table, columns) for table, columns in found.items()}


def _impressions(requests: Sequence[Request], counts: np.ndarray) -> Columns:
    asked = np.repeat(np.arange(len(requests)), counts)  # each impression's request
    first = np.cumsum(counts) - counts
    nobody = [None] * int(counts.max())

    def of_each(column: str) -> list[object]:
        values = (getattr(each, column) or nobody[: len(each.doc_ids)] for each in requests)
        return list(chain.from_iterable(values))

    if any(each.releases for each in requests):
        each_release = (each.releases or [each.release_id] * len(each.doc_ids) for each in requests)
        releases = pa.array(list(chain.from_iterable(each_release)), pa.string())
    else:
        releases = _repeated([each.release_id for each in requests], asked)
    return {
        "request_id": _repeated([each.request_id for each in requests], asked),
        "doc_id": of_each("doc_ids"),
        "rank": (np.arange(len(asked)) - first[asked] + 1).astype(np.int32),
        "score": of_each("scores"),
        "release_id": releases,
        "team": of_each("teams"),
        "propensity": of_each("propensities"),
    }


def _repeated(names: Sequence[str], asked: np.ndarray) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(asked))


def _batch(table: str, columns: Columns) -> pa.RecordBatch:
    schema = TABLES[table]
    given = [(columns[field.name], field.type) for field in schema]
    arrays = [each if isinstance(each, pa.Array) else pa.array(each, kind) for each, kind in given]
    return pa.record_batch(arrays, schema=schema)
