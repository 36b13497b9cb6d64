"""The upkeep of an index: whether a catalogue looks whole, and whether an increment is sound.

The catalogue  more than `max_removed_share` of the documents gone at once looks like half an
               export: reject, until a person accepts the removals.
The increment  coverage, self-retrieval, dead share and imbalance are measured of the index as it
               is: out of bounds is a rejection. Recall is measured on a sample of queries and
               rejects only where its whole interval lies below the bound; where the interval
               spans the bound, an index that is a little unsure serves better than one that is
               surely old, and the decision says so.
"""

from collections.abc import Mapping
from dataclasses import replace

from perennial.errors import BadInput
from perennial.quality.decision import Decision, Evidence
from perennial.quality.shares import wilson

RECALL = "ann_recall@10"
_WORDS = {
    RECALL: ("The index finds {} of what exact search finds in the top 10", ".1%"),
    "coverage": ("The index holds {} of the catalogue", ".1%"),
    "self_retrieval": ("{} of sampled documents are found by their own vector", ".1%"),
    "dead_share": ("{} of the rows are dead", ".1%"),
    "imbalance": ("The lists are uneven by {} (1 is even)", ".2f"),
}
_ON_CODES = (
    "Exact search was over the codes that the index keeps: codes_similarity tells what they lost "
    "of the vectors."
)


def judge_removals(removed: int, held: int, *, max_removed_share: float) -> Decision:
    """advance, or reject where the catalogue lacks too many of the documents that are held."""
    share = removed / held if held else 0.0
    holds = share <= max_removed_share
    evidence = Evidence("removed", share, None, None, held, max_removed_share, holds)
    if holds:
        return Decision(
            "advance", (f"{removed:,} of {held:,} documents are removed.",), (evidence,)
        )
    reason = (
        f"The catalogue lacks {removed:,} of the {held:,} documents that are served ({share:.0%}; "
        f"at most {max_removed_share:.0%} is taken for a change), as if it were half an export: "
        "export it again, or accept the removals with --accept-removals."
    )
    return Decision("reject", (reason,), (evidence,))


def judge_increment(
    health: Mapping[str, float],
    *,
    documents: int,
    probes: int,
    min_ann_recall: float,
    min_coverage: float,
    min_self_retrieval: float,
    max_dead_share: float,
    max_imbalance: float,
    confidence: float,
) -> Decision:
    """promote, or reject with every bound that is broken; raises BadInput where a figure lacks."""
    evidence = [
        _recall(_figure(health, RECALL), probes, min_ann_recall, confidence),
        _at_least("coverage", health, min_coverage, documents),
        _at_least("self_retrieval", health, min_self_retrieval, documents),
        _at_most("dead_share", health, max_dead_share, documents),
        _at_most("imbalance", health, max_imbalance, documents),
    ]
    broken = [item for item in evidence if item.holds is False]
    if broken:
        return Decision("reject", tuple(map(_sentence, broken)), tuple(evidence))
    reasons = tuple(map(_sentence, evidence[:2]))
    if health.get("recall_on_codes"):
        reasons += (_ON_CODES,)
    return Decision("promote", reasons, tuple(evidence))


def _recall(value: float, probes: int, bound: float, confidence: float) -> Evidence:
    """Each probe counts once: the ten answers of a query are no ten independent trials."""
    interval = wilson(round(value * probes), probes, confidence=confidence)
    holds = None
    if interval.low is not None and interval.high is not None:
        holds = False if interval.high < bound else True if interval.low >= bound else None
    exact = replace(interval, value=value)
    return Evidence(RECALL, exact.value, exact.low, exact.high, probes, bound, holds)


def _at_least(name: str, health: Mapping[str, float], bound: float, n: int) -> Evidence:
    value = _figure(health, name)
    # Shares of counts: a bound of 1 must not fall to rounding.
    return Evidence(name, value, None, None, n, bound, value >= bound - 1e-9)


def _at_most(name: str, health: Mapping[str, float], bound: float, n: int) -> Evidence:
    value = _figure(health, name)
    return Evidence(name, value, None, None, n, bound, value <= bound + 1e-9)


def _sentence(item: Evidence) -> str:
    words, style = _WORDS[item.name]
    side = "at most" if item.name in ("dead_share", "imbalance") else "at least"
    verdict = {True: "", False: ": refused", None: ", which so few probes cannot tell"}[item.holds]
    value = format(item.value, style)
    return f"{words.format(value)}; {side} {item.bound:{style}} is asked{verdict}."


def _figure(health: Mapping[str, float], name: str) -> float:
    if name not in health:
        raise BadInput(f"the index's health has no {name}; measure it again.")
    return health[name]
