"""The gate: a comparison and its bounds to promote, reject or inconclusive, with reasons.

Every check ends in holds, fails, or unknown, and reads an interval [low, high] where there is one:

    gain          candidate - champion of the gate's metric
                  holds: low > min_gain        fails: high < min_gain        else unknown
    no loss       candidate - champion of every other metric
                  holds: low >= -max_loss      fails: high < -max_loss       else unknown
    against the   candidate - lexical of the gate's metric
    lexical one   holds: low >= -max_lexical_loss   fails: high < -max_lexical_loss   else unknown
    health        ANN recall, coverage, self-retrieval, effective rank: holds at their bound, fails
                  below it; imbalance of the lists fails above it; unknown where it was not measured
    evidence      at least min_queries queries; of each system's top 10 at least min_judged judged;
                  no more than judged_gap between the candidate's share and another's:
                  holds or unknown, never fails

1. A health check fails: reject. Health needs no labels, so that thin labels cannot excuse it.
2. An evidence check does not hold: inconclusive. What it would have failed rests on thin labels.
3. Any other check fails: reject.
4. Any check is unknown: inconclusive.
5. Else promote.

Promotion needs all checks at once (an intersection-union test), so that no correction for their
number is due: an equal candidate passes with a chance of at most (1 - confidence) / 2, a worse one
with less. Rejection takes one failure; an equal candidate meets it more often than that.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from perennial.errors import BadInput
from perennial.quality.checks import Check, evidence_of_labels, loss, shown, threshold
from perennial.quality.decision import Decision, Outcome
from perennial.quality.metrics import TITLES


def gate(
    comparison: Mapping[str, Any],
    *,
    metric: str,
    min_gain: float,
    max_loss: float,
    max_lexical_loss: float,
    min_queries: int,
    min_judged: float,
    judged_gap: float,
    min_ann_recall: float,
    min_coverage: float,
    min_self_retrieval: float,
    max_imbalance: float,
    min_effective_rank: float,
) -> Decision:
    """comparison.json's value to a Decision by the rule above; raises BadInput if a part lacks."""
    if comparison.get("format_version") != 1:
        raise BadInput(
            f"comparison.json has format_version {comparison.get('format_version')!r}; this gate "
            "reads 1: evaluate again."
        )
    measured = _part(comparison, "health")
    health = [
        threshold(measured, "ann_recall@10", min_ann_recall, comparison),
        threshold(measured, "coverage", min_coverage, comparison),
        threshold(measured, "effective_rank", min_effective_rank, comparison),
        threshold(measured, "self_retrieval", min_self_retrieval, comparison),
        threshold(measured, "imbalance", max_imbalance, comparison, is_most=True),
    ]
    labels = list(
        evidence_of_labels(
            comparison, min_queries=min_queries, min_judged=min_judged, judged_gap=judged_gap
        )
    )
    differences = list(_differences(comparison, metric, min_gain, max_loss, max_lexical_loss))
    outcome, reasons = _decide(health, labels, differences)
    return Decision(
        outcome,
        tuple(reasons),
        tuple(check.evidence for check in (*differences, *labels, *health)),
    )


def _decide(
    health: list[Check], labels: list[Check], differences: list[Check]
) -> tuple[Outcome, list[str]]:
    if broken := [check for check in health if check.evidence.holds is False]:
        return "reject", [check.reason for check in broken]
    if thin := [check for check in labels if not check.evidence.holds]:
        return "inconclusive", [check.reason for check in thin]
    if failed := [check for check in differences if check.evidence.holds is False]:
        return "reject", [check.reason for check in failed]
    if unknown := [c for c in (*differences, *health) if c.evidence.holds is None]:
        return "inconclusive", [check.reason for check in unknown]
    return "promote", _summed_up(differences, health)


def _summed_up(differences: list[Check], health: list[Check]) -> list[str]:
    """Of many checks that hold, one sentence per kind; the evidence has them all."""
    gain, *others, lexical = differences
    reasons = [gain.reason]
    if others:
        nearest = min((check.evidence for check in others), key=lambda item: item.low or 0.0)
        reasons.append(
            f"For each of the other {len(others)} metrics a loss of more than {-nearest.bound:.3f} "
            f"is ruled out; the nearest to it is {TITLES.get(nearest.name, nearest.name)} "
            f"[{nearest.low:+.3f}, {nearest.high:+.3f}]."
        )
    recall, coverage, rank = (check.evidence.value or 0.0 for check in health[:3])
    return [
        *reasons,
        lexical.reason,
        f"The index finds {recall:.1%} of what exact search finds in the top 10 and holds "
        f"{coverage:.1%} of the catalogue; the embeddings have an effective rank of {rank:.1f}.",
    ]


def _differences(
    comparison: Mapping[str, Any],
    metric: str,
    min_gain: float,
    max_loss: float,
    max_lexical_loss: float,
) -> Iterator[Check]:
    champion = _part(comparison, "differences", "candidate-champion")
    if metric not in champion:
        raise BadInput(
            f"the gate's metric {metric!r} was not compared; set gate.metric to one of "
            f"{', '.join(champion)}."
        )
    yield _gain(champion[metric], metric, min_gain, comparison)
    for other in champion:
        if other != metric:
            yield loss(champion[other], other, "champion", max_loss, comparison)
    lexical = _part(comparison, "differences", "candidate-lexical", metric)
    yield loss(lexical, metric, "lexical", max_lexical_loss, comparison)


def _gain(
    difference: Mapping[str, Any], metric: str, bound: float, comparison: Mapping[str, Any]
) -> Check:
    low, high = difference["low"], difference["high"]
    title, change = TITLES.get(metric, metric), shown(difference, comparison)
    if low is None or high is None:
        return Check.of(metric, difference, bound, None, comparison, f"{title}: {change}.")
    if low > bound:
        holds, verdict = True, "the candidate is better than the champion"
    elif high < bound:
        holds = False
        verdict = "the candidate is worse than the champion"
        if high >= 0:
            verdict = f"a gain of {bound:.3f} was asked for and is out of reach"
    else:
        holds = None
        verdict = "not enough evidence that the candidate is better than the champion"
    if bound and holds is not False and not math.isclose(bound, 0.0):
        verdict += f" by {bound:.3f}"
    return Check.of(metric, difference, bound, holds, comparison, f"{title} {change}: {verdict}.")


def _part(comparison: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    part: Any = comparison
    for step in path:
        if not isinstance(part, Mapping) or step not in part:
            raise BadInput(
                f"comparison.json has no {'.'.join(path)}; run the stages index and evaluate again."
            )
        part = part[step]
    if not isinstance(part, Mapping):
        raise BadInput(f"comparison.json: {'.'.join(path)} is {part!r}; evaluate again.")
    return part
