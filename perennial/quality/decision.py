"""A decision as a value: what was decided, why, and the evidence it rests on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from perennial.errors import BadInput

Outcome = Literal[
    "promote",
    "reject",
    "inconclusive",
    "advance",
    "rollback",
    "none",
    "reindex",
    "retrain",
    "page",
]
OUTCOMES: tuple[str, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Evidence:
    """One thing that was compared with a bound; `holds` is None where n is too small to say."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    bound: float
    holds: bool | None


@dataclass(frozen=True)
class Decision:
    """An outcome, its reasons as whole sentences, and every piece of evidence looked at.

    `forced` is the reason of a person who decided otherwise than the evidence.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    forced: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: outcome, reasons[], evidence[], and forced where a person did."""
        value = {
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "evidence": [asdict(item) for item in self.evidence],
        }
        return value if self.forced is None else {**value, "forced": self.forced}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Decision":
        """What to_dict wrote; raises BadInput naming what is missing or unknown."""
        try:
            outcome, reasons, evidence = value["outcome"], value["reasons"], value["evidence"]
            items = tuple(Evidence(**item) for item in evidence)
        except (KeyError, TypeError) as error:
            raise BadInput(f"this is not a decision ({error}); decide again.") from error
        if outcome not in OUTCOMES:
            raise BadInput(f"{outcome!r} is not an outcome; it is one of {', '.join(OUTCOMES)}.")
        return cls(outcome, tuple(reasons), items, value.get("forced"))
