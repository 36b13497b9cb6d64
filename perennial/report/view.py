"""What the page shows, as plain values that the caller gathered; every part but three is optional.

Bounds are {"value", "low", "high"}; low and high are None where too little was seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NotRequired, TypedDict

Bounds = Mapping[str, Any]


class CurveRow(TypedDict):
    """One step of training; validation is measured after an epoch, None or absent elsewhere."""

    step: int
    epoch: int
    loss: float
    validation: NotRequired[float | None]
    active: NotRequired[float | None]
    gradient_norm: NotRequired[float | None]
    effective_rank: NotRequired[float | None]  # of the vectors, every few steps
    similarity: NotRequired[float | None]


class RecallRow(TypedDict):
    """One point of one system's recall by k."""

    system: str
    k: int
    recall: float
    low: NotRequired[float | None]
    high: NotRequired[float | None]


class Example(TypedDict):
    """One query and both answers; champion and candidate are its scores of the gate's metric."""

    query: str
    slice: str | None
    champion: float
    candidate: float
    before: Sequence[tuple[str, str, bool]]  # doc_id, title, is relevant; best first
    after: Sequence[tuple[str, str, bool]]


class Unlike(TypedDict):
    """One query that champion and candidate answer unlike; nobody says which is right."""

    query: str
    overlap: float
    rank_biased_overlap: float
    before: Sequence[tuple[str, str]]
    after: Sequence[tuple[str, str]]


Shadow = TypedDict(
    "Shadow",
    {
        "queries": int,
        "overlap@10": Bounds,
        "rank_biased_overlap": Bounds,
        "groups": NotRequired[Sequence[Mapping[str, Any]]],  # group, queries, and bounds by name
        "clicks": NotRequired[Sequence[Mapping[str, Any]]],  # foretold, or why not, by method
        "latency_ms": NotRequired[Mapping[str, float]],  # median of champion and candidate
        "most_different": NotRequired[Sequence[Unlike]],
        "decision": NotRequired[Mapping[str, Any]],
    },
)


class Canary(TypedDict):
    """Click success of both arms; the difference is candidate / stable - 1."""

    sessions: Mapping[str, int]
    successes: Mapping[str, int]
    shares: Mapping[str, Bounds]
    difference: Bounds
    max_loss: float
    confidence: float
    decision: NotRequired[Mapping[str, Any]]


@dataclass(frozen=True)
class ReportView:
    """One retrain. With `simulated`, all that clicks had a part in says so on the page."""

    title: str
    created_at: datetime
    run_id: str
    decision: Mapping[str, Any]  # Decision.to_dict()
    comparison: Mapping[str, Any]  # comparison.json
    simulated: bool
    curve: Sequence[CurveRow] = ()
    recall_by_k: Sequence[RecallRow] = ()
    gains: Sequence[float] = ()  # candidate - champion per query, in any order
    best: Sequence[Example] = ()
    worst: Sequence[Example] = ()
    shadow: Shadow | None = None
    canary: Canary | None = None
    validate: Mapping[str, Any] | None = None  # artifacts/validate/summary.json
    # snapshot and accepted (its two JSON files), profile and mined (validate's and mine's files),
    # audited and judge (their summaries), and propensities (rows); any may be missing
    data: Mapping[str, Any] = field(default_factory=dict)
    rounds: Sequence[Mapping[str, Mapping[str, Bounds]]] = ()  # {system: {metric: bounds}}
    releases: Mapping[str, str] = field(default_factory=dict)  # role to release_id
    lineage: Mapping[str, str | None] = field(default_factory=dict)  # name to digest or id
    seconds: Mapping[str, float] = field(default_factory=dict)  # step to seconds on the wall
    rooms_seconds: Mapping[str, float] = field(default_factory=dict)  # of which the rooms' own
    links: Sequence[tuple[str, str]] = ()  # where to look next: name, command or place
