"""What a reindex did, as a value and in words."""

from dataclasses import dataclass, field
from typing import Any

from perennial.index.changes import Changes
from perennial.quality.decision import Decision
from perennial.verbs.reindexing.side import Made


@dataclass(frozen=True)
class Side:
    """One release that was continued; `release_id` is None where nothing came of it."""

    role: str  # stable or candidate
    parent: str
    release_id: str | None
    added: int
    changed: int
    resliced: int
    removed: int
    embedded: int
    segments: int
    merged: int  # segments that became fewer
    trained: tuple[str, ...]  # why the quantizer was trained anew
    health: dict[str, float]
    bytes_written: int


@dataclass(frozen=True)
class Reindexed:
    """The decision (promote, none, reject or inconclusive), what was done, and where time went."""

    decision: Decision
    channel: str
    documents: int = 0
    sides: tuple[Side, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def bytes_written(self) -> int:
        """New objects and manifests in the store, both releases together."""
        return sum(side.bytes_written for side in self.sides)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "decision": self.decision.to_dict(),
            "channel": self.channel,
            "documents": self.documents,
            "sides": [side.__dict__ | {"trained": list(side.trained)} for side in self.sides],
            "seconds": self.seconds,
            "bytes_written": self.bytes_written,
        }


def side_of(made: Made, release_id: str | None, bytes_written: int) -> Side:
    """What is told of a continued release."""
    changes, grown = made.look.changes, made.checked.grown
    return Side(
        role=made.look.role,
        parent=made.look.base.manifest.release_id,
        release_id=release_id,
        added=len(changes.added),
        changed=len(changes.changed),
        resliced=len(changes.resliced),
        removed=len(changes.removed),
        embedded=made.embedded,
        segments=len(grown.rows),
        merged=sum(len(group) for group in grown.merged),
        trained=made.checked.trained,
        health=made.checked.health,
        bytes_written=bytes_written,
    )


def in_words(changes: Changes) -> str:
    """What the catalogue changed, as a clause."""
    counts = {
        "added": len(changes.added),
        "changed": len(changes.changed),
        "with another slice": len(changes.resliced),
        "removed": len(changes.removed),
    }
    return ", ".join(f"{n:,} {word}" for word, n in counts.items() if n) or "nothing changed"
