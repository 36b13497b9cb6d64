"""Shadow: champion and candidate answer the same queries; nobody sees the candidate's answers.

It asks whether the candidate is sane and fast enough to be shown, not whether it is right. Logged
queries that were asked again, and live ones that a service mirrored, are judged apart:

    overlap       mean overlap@10                  holds: low >= min_overlap        else look
    latency       geometric mean of the paired ratios candidate / champion
                                                   holds: low <= max_latency_ratio  else reject
    zero results  share of empty answers, candidate - champion
                                                   holds: low <= max_zero_results   else reject
    failures      share of mirrored queries        holds: low <= max_failed_share   else reject
    clicks        counterfactual, candidate - champion in shares of the champion's
                                                   holds: high >= -max_click_loss   else look

Surely too slow, too empty or failing: reject. What a person should look at, too few queries for an
interval, or fewer mirrored ones than `min_mirrored` where there is a mirror: inconclusive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from perennial.quality.alike import Alike
from perennial.quality.counterfactual import Clicks
from perennial.quality.decision import Decision, Evidence, Outcome
from perennial.quality.paired import Interval
from perennial.quality.shares import wilson


@dataclass(frozen=True)
class Shadow:
    """What was asked again, as a whole and by how often it is asked; what was mirrored, and the
    mirror's counts; and the clicks that logged ones foretell."""

    replayed: Alike
    by_frequency: Mapping[str, Alike]
    mirrored: Alike | None
    counts: Mapping[str, int]
    clicks: Sequence[Clicks]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def judge_shadow(
    shadow: Shadow,
    *,
    min_overlap: float,
    max_latency_ratio: float,
    max_zero_results: float,
    max_failed_share: float,
    max_click_loss: float,
    min_mirrored: int,
    confidence: float,
) -> Decision:
    """advance, inconclusive or reject, by the rule above."""
    bounds = (min_overlap, max_latency_ratio, max_zero_results)
    alike, fast, full = _judged(shadow.replayed, *bounds, tag="")
    evidence = [alike, fast, full]
    short = 0
    if shadow.mirrored is not None:
        evidence += _judged(shadow.mirrored, *bounds, tag=", mirrored")
        asked = shadow.counts["failed"] + shadow.counts["compared"]
        share = wilson(shadow.counts["failed"], asked, confidence=confidence)
        holds = None if share.low is None else share.low <= max_failed_share
        evidence.append(_evidence("failures, mirrored", share, max_failed_share, holds))
        short = max(min_mirrored - shadow.mirrored.queries, 0)
    for estimate in shadow.clicks:
        if estimate.silent is None and estimate.change.high is not None:
            holds = estimate.change.high >= -max_click_loss
            name = f"clicks {estimate.method}"
            evidence.append(_evidence(name, estimate.change, -max_click_loss, holds))
    failed = [item for item in evidence if item.holds is False]
    rejected = [item for item in failed if not item.name.startswith(_TO_LOOK_AT)]
    outcome: Outcome
    if rejected:
        outcome, reasons = "reject", [_said(item) for item in rejected]
    elif any(item.holds is None for item in (alike, fast, full)):
        outcome = "inconclusive"
        reasons = [
            f"{shadow.replayed.queries} logged queries are too few for an interval; log more "
            "searches."
        ]
    elif failed:
        outcome, reasons = "inconclusive", [_said(item) for item in failed]
    elif short:
        outcome = "inconclusive"
        reasons = [
            f"{shadow.mirrored and shadow.mirrored.queries} live queries were mirrored, and "
            f"{min_mirrored} are needed; wait for more."
        ]
    else:
        outcome = "advance"
        reasons = [
            f"On {shadow.replayed.queries} logged queries the two agree on {_range(alike)} of "
            f"their top 10, and the candidate takes {_range(fast)} times as long."
        ]
    return Decision(outcome, (*reasons, *_notes(shadow)), tuple(evidence))


_TO_LOOK_AT = ("overlap", "clicks")


def _judged(
    found: Alike, min_overlap: float, max_ratio: float, max_zero: float, *, tag: str
) -> list[Evidence]:
    overlap, ratio, zero = found.overlap, found.latency_ratio, found.zero_results["difference"]
    alike = None if overlap.low is None else overlap.low >= min_overlap
    fast = None if ratio.low is None else ratio.low <= max_ratio
    full = None if zero.low is None else zero.low <= max_zero
    return [
        _evidence(f"overlap@10{tag}", overlap, min_overlap, alike),
        _evidence(f"latency ratio{tag}", ratio, max_ratio, fast),
        _evidence(f"zero results{tag}", zero, max_zero, full),
    ]


def _said(item: Evidence) -> str:
    """What broke a bound, and what to do."""
    kind, _, where = item.name.partition(", ")
    queries = "live queries" if where else "logged queries"
    value, bound = _range(item), f"{abs(item.bound):g}"
    if kind == "latency ratio":
        text = f"The candidate takes {value} times as long as the champion; {bound} times is"
        return f"{text} the most ({queries})."
    if kind == "zero results":
        text = f"The candidate leaves {value} more of the {queries} without an answer than the"
        return f"{text} champion; {bound} is the most."
    if kind == "failures":
        return f"The candidate fails on {value} of the {queries}; {bound} is the most."
    if kind == "overlap@10":
        text = f"The two agree on {value} of their top 10 ({queries}), which is not surely above"
        return f"{text} {bound}: a person should look at the most different answers."
    text = f"Explored clicks foretell a change of {value} in clicks ({kind.partition(' ')[2]});"
    return f"{text} more than {bound} is lost: a person should look at what they clicked."


def _notes(shadow: Shadow) -> list[str]:
    """What was dropped, and why clicks say nothing, in sentences."""
    said = []
    if dropped := shadow.counts.get("dropped", 0):
        said.append(
            f"The mirror dropped {dropped} of {shadow.counts['offered']} live queries to stay out "
            "of the way."
        )
    return said + [estimate.silent for estimate in shadow.clicks if estimate.silent is not None]


def _evidence(name: str, found: Interval, bound: float, holds: bool | None) -> Evidence:
    return Evidence(name, found.value, found.low, found.high, found.n, bound, holds)


def _range(item: Evidence) -> str:
    return f"{item.value:.2f} ({item.low:.2f} to {item.high:.2f})"
