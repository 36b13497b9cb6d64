"""One answered search and one event, as rows of the log's tables."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

import pyarrow as pa

from perennial.data.schema import TABLES

Row = tuple[object, ...]


@dataclass(frozen=True)
class Impression:
    """One document as it was shown; `propensity` is the chance that it stood at its rank."""

    request_id: str
    doc_id: str
    rank: int
    score: float
    release_id: str
    team: str | None
    propensity: float | None


@dataclass(frozen=True)
class Request:
    """One search of one person, with what was shown."""

    request_id: str
    session_id: str
    ts: datetime
    query: str
    channel: str
    arm: str
    release_id: str
    n_results: int
    latency_ms: float
    explored: bool
    impressions: tuple[Row, ...]  # each an Impression's values, in its order

    def rows(self) -> dict[str, list[Row]]:
        """{table: rows}: the impressions come first, since only a request makes them count."""
        values = (
            self.request_id, self.session_id, self.ts, self.query, self.channel, self.arm,
            self.release_id, self.n_results, self.latency_ms, self.explored,
        )  # fmt: skip
        return {"impressions": list(self.impressions), "requests": [values]}


@dataclass(frozen=True)
class Event:
    """What the person then did with one document."""

    event_id: str
    request_id: str
    doc_id: str
    type: str
    value: float | None
    ts: datetime

    def rows(self) -> dict[str, list[Row]]:
        """{table: rows}."""
        return {"events": [astuple(self)]}


def batch(table: str, rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows in the order of the table's columns, at least one, to a batch of its schema."""
    schema = TABLES[table]
    columns = [
        pa.array(column, field.type)
        for column, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    return pa.record_batch(columns, schema=schema)
