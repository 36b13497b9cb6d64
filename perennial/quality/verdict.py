"""Why a candidate is promoted: of many checks that hold, one sentence per rule."""

from collections.abc import Sequence

from perennial.quality.checks import Check, Kind
from perennial.quality.decision import Evidence
from perennial.quality.metrics import TITLES


def summed_up(
    differences: Sequence[Check], health: Sequence[Check], *, min_slice_queries: int
) -> list[str]:
    """The sentences of a promotion, gains first; the evidence has every check."""
    if not differences or all(check.kind == "floor" for check in differences):
        reasons = ["There is no champion: a first release has nothing to be compared with."]
        return [*reasons, *(check.reason for check in differences), *_served(health)]
    reasons = [check.reason for check in _of(differences, "gain")]
    if losses := _of(differences, "loss"):
        nearest = _nearest(losses)
        count = f"the other {len(losses)}" if reasons else f"{len(losses)}"
        reasons.append(
            f"For each of {count} metrics a loss of more than {_margins(losses)} "
            f"is ruled out; the nearest to it is {TITLES.get(nearest.name, nearest.name)} "
            f"{_interval(nearest)}."
        )
    if earlier := _of(differences, "earlier"):
        nearest = _nearest(earlier)
        releases = {check.evidence.name.rpartition(" ")[2] for check in earlier}
        which = (
            f"each of {len(releases)} releases of earlier lineages"
            if len(releases) > 1
            else "the release of the lineage before"
        )
        reasons.append(
            f"So it is against {which}; the nearest to its margin is {nearest.name} "
            f"{_interval(nearest)}."
        )
    else:
        reasons.append(
            "No lineage before the champion's is kept: the rule on earlier releases does not apply."
        )
    reasons += [check.reason for check in _of(differences, "lexical")]
    if slices := _of(differences, "slice"):
        nearest = _nearest(slices)
        reasons.append(
            f"In each of {len(slices)} slices with at least {min_slice_queries} queries a loss of "
            f"more than {_margins(slices)} is ruled out; the nearest to it is {nearest.name} "
            f"{_interval(nearest)}."
        )
    else:
        reasons.append(
            f"No slice has {min_slice_queries} queries: the rule on slices does not apply."
        )
    return [*reasons, *(check.reason for check in _of(differences, "floor")), *_served(health)]


def _served(health: Sequence[Check]) -> list[str]:
    found = {check.evidence.name: check.evidence.value or 0.0 for check in health}
    said = (
        f"The index finds {found['ann_recall@10']:.1%} of what exact search finds in the top 10 "
        f"and holds {found['coverage']:.1%} of the catalogue; the embeddings have an effective "
        f"rank of {found['effective_rank']:.1f}."
    )
    return [said, *(c.reason for c in health if c.evidence.name == "latency ratio")]


def _of(checks: Sequence[Check], kind: Kind) -> list[Check]:
    return [check for check in checks if check.kind == kind]


def _nearest(checks: Sequence[Check]) -> Evidence:
    """The one whose interval comes nearest to its own bound."""
    return min((c.evidence for c in checks), key=lambda item: (item.low or 0.0) - item.bound)


def _margins(checks: Sequence[Check]) -> str:
    """One margin, or from the least to the most."""
    margins = sorted({-check.evidence.bound for check in checks})
    ends = dict.fromkeys((margins[0], margins[-1]))
    return " to ".join(f"{margin:.3f}" for margin in ends)


def _interval(item: Evidence) -> str:
    return f"[{item.low:+.3f}, {item.high:+.3f}]"
