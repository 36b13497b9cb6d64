"""What the page of a candidate shows beside the retrain's own report, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from perennial.report.view import Bounds, ReportView
from perennial.report.words import gate_metric

Group = Literal["gained", "lost", "ordinary"]
SHORT = 12  # hexadecimal digits of a digest that a person compares and types


@dataclass(frozen=True)
class Document:
    """One found document; `grade` is None where nobody judged it for this query."""

    doc_id: str
    title: str
    excerpt: str
    grade: int | None


@dataclass(frozen=True)
class Pair:
    """One query and both answers, best first, with their scores of the gate's metric."""

    query: str
    slice: str | None
    group: Group
    outcome: str  # won, tied or lost, by the candidate
    champion: float
    candidate: float
    before: Sequence[Document]
    after: Sequence[Document]

    @property
    def unjudged(self) -> list[Document]:
        """What either side shows and nobody judged, by title: the order does not tell the side."""
        found = {d.doc_id: d for d in (*self.before, *self.after) if d.grade is None}
        return sorted(found.values(), key=lambda document: (document.title, document.doc_id))


@dataclass(frozen=True)
class Unjudged:
    """A query and its documents that nobody judged, of those that could matter most."""

    query: str
    documents: Sequence[Document]


@dataclass(frozen=True)
class SliceChange:
    """Candidate - champion of the gate's metric on one slice's queries."""

    name: str
    queries: int
    difference: Bounds


@dataclass(frozen=True)
class Preferences:
    """How often a reviewer found an earlier candidate's answers better, worse or the same."""

    release: str | None
    reviewer: str
    at: str
    counts: Mapping[str, int]
    documents: int


@dataclass(frozen=True)
class ReviewView:
    """A candidate in review; `release` is None where none was published, so none can be approved.

    `gate` is the digest of the gate's table: what an approval names.
    """

    report: ReportView
    release: str | None
    gate: str
    pairs: Sequence[Pair] = ()
    unjudged: Sequence[Unjudged] = ()
    earlier: Sequence[Preferences] = ()

    @property
    def metric(self) -> str:
        """The one that decided."""
        return gate_metric(self.report.decision, self.report.comparison)

    @property
    def slices(self) -> list[SliceChange]:
        """How the deciding metric changed on each slice, as far as evaluate compared it."""
        return [
            SliceChange(
                name, part["queries"], part["differences"]["candidate-champion"][self.metric]
            )
            for name, part in sorted((self.report.comparison.get("slices") or {}).items())
            if "differences" in part
        ]

    @property
    def token(self) -> str | None:
        """What the tag `approved` must say."""
        return approval_of(self.release, self.gate) if self.release else None


def approval_of(release_id: str, gate: str) -> str:
    """The release and the table that an approval is about, in one word."""
    return f"{release_id}@{gate.removeprefix('sha256:')[:SHORT]}"
