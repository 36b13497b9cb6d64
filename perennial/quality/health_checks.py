"""The gate's checks on the candidate as a thing to serve: its index, its space, its start."""

from collections.abc import Iterator, Mapping
from typing import Any

from perennial.errors import BadInput
from perennial.quality.checks import UNKNOWN, Check, is_number
from perennial.quality.decision import Evidence

_WORDS = {  # sentence, and how its figure is written
    "ann_recall@10": ("The index finds {} of what exact search finds in the top 10", ".1%"),
    "coverage": ("The index holds {} of the catalogue", ".1%"),
    "self_retrieval": ("{} of sampled documents are found by their own vector", ".1%"),
    "imbalance": ("The index's lists are uneven by {} (1 is even)", ".2f"),
    "effective_rank": ("The embeddings have an effective rank of {}", ".1f"),
    "mean_similarity": ("Two documents have a mean cosine of {}", ".3f"),
}


def health_checks(
    health: Mapping[str, Any],
    *,
    queries: int,
    at_least: Mapping[str, float],
    at_most: Mapping[str, float],
) -> Iterator[Check]:
    """Each health figure against its bound; raises BadInput naming one that lacks."""
    for name, bound in at_least.items():
        yield _threshold(health, name, bound, queries, is_most=False)
    for name, bound in at_most.items():
        yield _threshold(health, name, bound, queries, is_most=True)


def smoke_checks(
    smoke: Mapping[str, Any] | None, *, max_latency_ratio: float | None
) -> Iterator[Check]:
    """What happened when a fresh process loaded both releases and asked them, one query at a time.

    `smoke` has failure (None where all went well), queries, and latency_ratio, an interval. Too
    slow is what surely is; without a smoke test nothing is known, without a bound no ratio asked.
    """
    ratio = UNKNOWN if smoke is None else smoke.get("latency_ratio") or UNKNOWN
    n = 0 if smoke is None else int(smoke.get("queries", 0))
    failure = None if smoke is None else smoke.get("failure")
    works = None if smoke is None else failure is None
    said = "was not tried" if smoke is None else "works" if works else f"fails: {failure}"
    yield Check(
        "health",
        Evidence("smoke test", None if works is None else float(works), None, None, n, 1.0, works),
        f"Loading the candidate in a fresh process and asking it {said}.",
    )
    if max_latency_ratio is None:
        return
    low, high = ratio["low"], ratio["high"]
    holds, verdict = None, "not measured well enough"
    if low is not None and high is not None:
        holds = True if high <= max_latency_ratio else False if low > max_latency_ratio else None
        verdict = {True: "within it", False: "too slow", None: "not surely within it"}[holds]
    found = "an unknown number of"
    if ratio["value"] is not None:
        found = f"{ratio['value']:.2f}"
    if low is not None and high is not None:
        found += f" [{low:.2f}, {high:.2f}]"
    yield Check.of(
        "health",
        "latency ratio",
        ratio,
        max_latency_ratio,
        holds,
        n,
        f"A query takes the candidate {found} times as long as the champion; at most "
        f"{max_latency_ratio:g} is asked: {verdict}.",
    )


def _threshold(
    health: Mapping[str, Any], name: str, bound: float, queries: int, *, is_most: bool
) -> Check:
    """A figure against the least, or most, it may be; unknown where it was not measured."""
    if name not in health:
        raise BadInput(f"comparison.json has no health.{name}; run the stage index again.")
    value = health[name] if is_number(health[name]) else None
    # Coverage and recall are shares of counts: a bound of 1 must not fall to rounding.
    sign = -1 if is_most else 1
    holds = None if value is None else sign * value >= sign * bound - 1e-9
    wrong = "too much" if is_most else "too little"
    verdict = {True: "within it" if is_most else "enough", False: wrong, None: "not measured"}[
        holds
    ]
    asked = "at most" if is_most else "at least"
    words, style = _WORDS[name]
    figure = "an unknown share" if value is None else format(value, style)
    sentence = f"{words.format(figure)}; {asked} {bound:{style}} is asked: {verdict}."
    return Check("health", Evidence(name, value, None, None, queries, bound, holds), sentence)
