"""What the page of a comparison of indexes shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from perennial.quality.paired import Interval


@dataclass(frozen=True)
class Prices:
    """What a core and a gigabyte cost for an hour, and at how many queries a second."""

    per_core_hour: float
    per_gigabyte_hour: float
    rate: float


@dataclass(frozen=True)
class ParetoRow:
    """One index; `codes` are float32, SQ8 or PQ with its bytes, `settings` how far it looks."""

    dimension: int
    kind: str
    factory: str
    codes: str
    settings: str
    recall: Interval
    p50_ms: float
    p95_ms: float
    bytes: int
    build_seconds: float
    cost: float
    on_front: bool
    serves: bool


@dataclass(frozen=True)
class ParetoView:
    """All of them, of one release's vectors, the widest first."""

    release_id: str
    at: datetime
    documents: int
    queries: int
    recall_target: float
    confidence: float
    prices: Prices
    rows: Sequence[ParetoRow]
    left_out: Sequence[str] = ()
