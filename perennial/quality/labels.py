"""The gate's checks on labels: enough queries, and enough and equally many judged answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from perennial.errors import BadInput
from perennial.quality.checks import Check, is_number
from perennial.quality.decision import Evidence


def evidence_of_labels(
    comparison: Mapping[str, Any], *, min_queries: int, min_judged: float, judged_gap: float
) -> Iterator[Check]:
    """Whether there are enough queries, and enough and equal enough labels: holds or unknown."""
    for key in ("queries", "judged", "confidence"):
        if key not in comparison:
            raise BadInput(f"comparison.json has no {key}; evaluate again.")
    n, judged = int(comparison["queries"]), comparison["judged"]
    enough = True if n >= min_queries else None
    yield Check(
        "labels",
        Evidence("queries", float(n), None, None, n, float(min_queries), enough),
        f"{n} held-out queries were compared and {min_queries} are needed.",
    )
    compared = comparison.get("systems", {})
    for system in ("candidate", *(("champion",) if "champion" in compared else ())):
        if system not in judged:
            raise BadInput(f"comparison.json has no judged.{system}; evaluate again.")
    for system, share in judged.items():
        enough = True if is_number(share) and share >= min_judged else None
        yield Check(
            "labels",
            Evidence(f"judged@10 {system}", share, None, None, n, min_judged, enough),
            f"Of the {system}'s top 10 a share of {_number(share)} is judged and "
            f"{min_judged:.3f} is needed: labels are too thin to compare by.",
        )
    for system in (name for name in judged if name != "candidate"):
        ours, theirs = judged["candidate"], judged[system]
        known = is_number(ours) and is_number(theirs)
        gap = abs(ours - theirs) if known else None
        fair = True if gap is not None and gap <= judged_gap else None
        yield Check(
            "labels",
            Evidence(f"judged@10 gap to {system}", gap, None, None, n, judged_gap, fair),
            f"Of the top 10 a share of {_number(ours)} is judged for the candidate and "
            f"{_number(theirs)} for the {system}; further apart than {judged_gap:.3f}, the labels "
            "favour one of them.",
        )


def _number(value: float | None) -> str:
    return f"{value:.3f}" if value is not None and is_number(value) else "unknown"
