"""The gate: a comparison and its bounds to promote, reject or inconclusive, with reasons.

Every check ends in holds, fails, or unknown, and reads an interval [low, high] where there is one:

    gain          candidate - champion of a metric that must improve
                  holds: low > min_gain        fails: high < min_gain        else unknown
    no loss       candidate - champion of every other metric, each with its own margin
                  holds: low >= -max_loss      fails: high < -max_loss       else unknown
    earlier ones  the same margin, of every metric, against each release of the last lineages: who
                  loses no more to any of them loses no more to the best, and small losses that
                  followed each other do not add up
    slices        candidate - champion of the gate's metric within each slice of at least
                  min_slice_queries queries, with the margin max_slice_loss; smaller ones only show
    against the   candidate - lexical of the gate's metric
    lexical one   holds: low >= -max_lexical_loss   fails: high < -max_lexical_loss   else unknown
    floors        the candidate's own mean   holds: low >= floor   fails: high < floor  else unknown
    health        ANN recall, coverage, self-retrieval, effective rank: holds at their bound, fails
                  below it; imbalance of the lists and mean similarity fail above it. A smoke test:
                  a fresh process loads the candidate and asks it; fails where that fails, or where
                  the latency ratio surely is above max_latency_ratio
    evidence      at least min_queries queries; of each system's top 10 at least min_judged judged;
                  no more than judged_gap between the candidate's share and another's:
                  holds or unknown, never fails

1. A health check fails: reject. Health needs no labels, so that thin labels cannot excuse it.
2. An evidence check does not hold: inconclusive. What it would have failed rests on thin labels.
3. Any other check fails: reject.
4. Any check is unknown: inconclusive.
5. Else promote.

What may lack, and what follows:

    no champion      a first release: nothing to gain on, to lose to, or to be slower than; floors,
                     health and evidence decide, and the lexical margin exempts it (a bootstrap,
                     which never learned from anybody, is published without asking this gate)
    no labels        evaluate refuses to compare (BadInput); 0 queries here are too few
    too few queries  inconclusive, by min_queries; of a slice: it is not judged
    a metric         that has a rule but was not compared, or has no interval: inconclusive
    nothing earlier  the rule does not apply, and the reasons say so
    a health figure  that could not be measured, or no smoke test: inconclusive

Promotion needs all checks at once (an intersection-union test), so that no correction for their
number is due. A candidate at the bound of any one check passes it, and so all of them, with a
chance of (1 - confidence) / 2, as far as a bootstrap keeps its level (make bench-gate), and a worse
one with less: so does an equal one where a gain is asked and min_gain is 0. Below 0, or where
`rules` ask for a margin in its place, an equal candidate is meant to pass. Rejection takes one
failure of many checks, which a candidate at the bound of several meets more often. Which metrics
and slices changed is another question, of many answers: comparison.json corrects their p.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from perennial.errors import BadInput
from perennial.quality.checks import UNKNOWN, Check, floor, gain, loss
from perennial.quality.decision import Decision, Outcome
from perennial.quality.health_checks import health_checks, smoke_checks
from perennial.quality.labels import evidence_of_labels
from perennial.quality.metrics import METRICS
from perennial.quality.verdict import summed_up

CHAMPION = "candidate-champion"


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
    max_mean_similarity: float,
    max_latency_ratio: float,
    max_slice_loss: float,
    min_slice_queries: int,
    rules: Mapping[str, Mapping[str, float]],
    floors: Mapping[str, float],
    smoke: Mapping[str, Any] | None,
) -> Decision:
    """comparison.json's value to a Decision by the rule above; raises BadInput if a part lacks.

    `metric` must gain, every other must not lose, unless `rules` says otherwise of one, as
    {"min_gain": x} or {"max_loss": x}; `smoke` is what tasks/smoke.py wrote.
    """
    if comparison.get("format_version") != 1:
        raise BadInput(
            f"comparison.json has format_version {comparison.get('format_version')!r}; this gate "
            "reads 1: evaluate again."
        )
    labels = list(
        evidence_of_labels(
            comparison, min_queries=min_queries, min_judged=min_judged, judged_gap=judged_gap
        )
    )
    said = {"queries": int(comparison["queries"]), "confidence": comparison["confidence"]}
    has_champion = "champion" in _part(comparison, "systems")
    differences: list[Check] = []
    if has_champion:
        standard = {name: {"max_loss": max_loss} for name in METRICS}
        asked = standard | {metric: {"min_gain": min_gain}} | dict(rules)
        differences += _against_champion(comparison, asked, said)
        differences += _against_earlier(comparison, asked, max_loss, said)
        lexical = _part(comparison, "differences", "candidate-lexical").get(metric, UNKNOWN)
        of_lexical = {"kind": "lexical", "against": "lexical", **said}
        differences.append(loss(lexical, metric, max_lexical_loss, **of_lexical))
        differences += _in_slices(comparison, metric, max_slice_loss, min_slice_queries, said)
    candidate = _part(comparison, "systems", "candidate")
    differences += [floor(candidate.get(n, UNKNOWN), n, b, **said) for n, b in floors.items()]
    measured = _part(comparison, "health")
    health = [
        *health_checks(
            {"mean_similarity": None, **measured},  # a single document has no stranger
            queries=said["queries"],
            at_least={
                "ann_recall@10": min_ann_recall,
                "coverage": min_coverage,
                "effective_rank": min_effective_rank,
                "self_retrieval": min_self_retrieval,
            },
            at_most={"imbalance": max_imbalance, "mean_similarity": max_mean_similarity},
        ),
        *smoke_checks(smoke, max_latency_ratio=max_latency_ratio if has_champion else None),
    ]
    outcome, reasons = _decide(health, labels, differences)
    if outcome == "promote":
        reasons = summed_up(differences, health, min_slice_queries=min_slice_queries)
    every = (*differences, *labels, *health)
    return Decision(outcome, tuple(reasons), tuple(check.evidence for check in every))


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
    return "promote", []


def _against_champion(
    comparison: Mapping[str, Any], asked: Mapping[str, Mapping[str, float]], said: dict[str, Any]
) -> list[Check]:
    """What must improve first, then what must not be lost."""
    found = _part(comparison, "differences", CHAMPION)
    gains = [
        gain(found.get(name, UNKNOWN), name, rule["min_gain"], **_seen(found, name, said))
        for name, rule in asked.items()
        if "min_gain" in rule
    ]
    losses = [
        loss(found.get(n, UNKNOWN), n, rule["max_loss"], kind="loss", **_seen(found, n, said))
        for n, rule in asked.items()
        if "max_loss" in rule
    ]
    return gains + losses


def _against_earlier(
    comparison: Mapping[str, Any],
    asked: Mapping[str, Mapping[str, float]],
    max_loss: float,
    said: dict[str, Any],
) -> Iterator[Check]:
    for release in comparison.get("earlier", ()):
        found = _part(comparison, "differences", f"candidate-{release}")
        for name, rule in asked.items():
            margin, seen = rule.get("max_loss", max_loss), _seen(found, name, said)
            cell = found.get(name, UNKNOWN)
            yield loss(cell, name, margin, kind="earlier", against=release, **seen)


def _in_slices(
    comparison: Mapping[str, Any],
    metric: str,
    max_loss: float,
    min_queries: int,
    said: dict[str, Any],
) -> Iterator[Check]:
    for name, part in _part(comparison, "slices").items():
        if part["queries"] >= min_queries:
            found = _part(comparison, "slices", name, "differences", CHAMPION)
            seen = {**said, "queries": part["queries"]}
            yield loss(
                found.get(metric, UNKNOWN), metric, max_loss, kind="slice", within=name, **seen
            )


def _seen(found: Mapping[str, Any], name: str, said: dict[str, Any]) -> dict[str, Any]:
    """What the sentence says it rests on: no query where the metric was not compared at all."""
    return said if name in found else {**said, "queries": 0}


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
