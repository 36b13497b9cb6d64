"""Lexical baseline, champion, earlier releases and candidate on the same queries: comparison.json.

Each difference is a cell of value, low and high (paired bootstrap, stratified by slice), wins, ties
and losses, p (sign-flip test) and cohens_dz; those against the champion, of all metrics and slices,
have a p_holm too: they are one family.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from perennial.errors import BadInput
from perennial.quality.metrics import JUDGED, METRICS, Floats
from perennial.quality.paired import (
    FEWEST,
    Interval,
    Strata,
    bootstrap_means,
    differences_of,
    paired_differences,
    strata_of,
)
from perennial.quality.randomisation import cohens_dz, holm, sign_flip_p

PerQuery = Mapping[str, Floats]
Cells = dict[str, dict[str, Any]]
NAMED = ("lexical", "champion", "candidate")  # every other system is an earlier release, by its id


def compare(
    per_query: Mapping[str, PerQuery],
    *,
    slices: Sequence[str | None],
    health: Mapping[str, float],
    samples: int,
    confidence: float,
    seed: int,
    randomisations: int = 9_999,
) -> dict[str, Any]:
    """{system: {metric: (q,) values}} and each query's slice to plain values for JSON.

    Systems are "candidate" and, where there are any, "champion", "lexical" and earlier releases.
    Raises BadInput where they were not asked the same number of queries.
    """
    if "candidate" not in per_query:
        raise BadInput("there are no scores of the candidate; nothing can be compared.")
    lengths = {system: len(scores[METRICS[0]]) for system, scores in per_query.items()}
    if set(lengths.values()) != {len(slices)}:
        raise BadInput(
            f"the systems answered {lengths} of {len(slices)} queries; a paired comparison needs "
            "every query answered by all."
        )
    drawn: dict[str, Any] = {"samples": samples, "confidence": confidence, "seed": seed}
    strata = strata_of(slices)
    names = (*METRICS, JUDGED)
    systems = {
        system: {
            name: _rounded(interval)
            for name, interval in zip(
                names,
                bootstrap_means(
                    np.stack([scores[name] for name in names], axis=1), strata=strata, **drawn
                ),
                strict=True,
            )
        }
        for system, scores in per_query.items()
    }
    earlier = [system for system in per_query if system not in NAMED]
    bases = [base for base in ("champion", "lexical", *earlier) if base in per_query]
    differences = {
        f"candidate-{base}": _cells(
            per_query["candidate"], per_query[base], strata, randomisations, **drawn
        )
        for base in bases
    }
    parts = _by_slice(per_query, slices, randomisations, **drawn)
    if "champion" in per_query:
        family = [cell for cells in _family(differences, parts) for cell in cells.values()]
        adjusted = holm([cell["p"] for cell in family])
        for cell, value in zip(family, adjusted, strict=True):
            cell["p_holm"] = round(value, 6)
    return {
        "format_version": 1,
        "queries": len(slices),
        "confidence": confidence,
        "systems": systems,
        "differences": differences,
        "earlier": earlier,
        "judged": {system: systems[system][JUDGED]["value"] for system in systems},
        "slices": parts,
        "health": dict(health),
    }


def largest_changes(
    candidate: Floats, champion: Floats, *, examples: int
) -> tuple[list[int], list[int]]:
    """Row numbers of the queries that gained most, and that lost most; the largest first."""
    change = candidate - champion
    order = np.argsort(change, kind="stable")
    lost = [int(row) for row in order[:examples] if change[row] < 0]
    order = np.argsort(-change, kind="stable")
    gained = [int(row) for row in order[:examples] if change[row] > 0]
    return gained, lost


def _cells(
    ours: PerQuery,
    theirs: PerQuery,
    strata: Strata | None,
    randomisations: int,
    *,
    samples: int,
    confidence: float,
    seed: int,
) -> Cells:
    """Every metric's cell of one difference."""
    a, b = ({name: side[name] for name in METRICS} for side in (ours, theirs))
    found = paired_differences(
        a, b, samples=samples, confidence=confidence, seed=seed, strata=strata
    )
    table = differences_of(a, b)
    chance = sign_flip_p(table, samples=randomisations, seed=seed)
    return {
        name: _rounded(found[name])
        | {"wins": found[name].wins, "ties": found[name].ties, "losses": found[name].losses}
        | {"p": round(float(p), 6), "cohens_dz": None if effect is None else round(effect, 6)}
        for name, p, effect in zip(a, chance, cohens_dz(table), strict=True)
    }


def _by_slice(
    per_query: Mapping[str, PerQuery],
    slices: Sequence[str | None],
    randomisations: int,
    **drawn: Any,
) -> dict[str, dict[str, Any]]:
    labels = np.array(["" if name is None else name for name in slices], dtype=object)
    result = {}
    for name in sorted(set(labels) - {""}):
        rows = labels == name
        here = {
            system: {metric: scores[metric][rows] for metric in METRICS}
            for system, scores in per_query.items()
        }
        means = {
            metric: {s: round(float(scores[metric].mean()), 6) for s, scores in here.items()}
            for metric in METRICS
        }
        result[str(name)] = {"queries": int(rows.sum()), **means}
        if "champion" in here:
            cells = _cells(here["candidate"], here["champion"], None, randomisations, **drawn)
            result[str(name)]["differences"] = {"candidate-champion": cells}
    return result


def _family(differences: Mapping[str, Cells], parts: Mapping[str, Any]) -> Iterator[Cells]:
    """What Holm's correction is over: the whole, and every slice that is large enough to say."""
    yield differences["candidate-champion"]
    for part in parts.values():
        if part["queries"] >= FEWEST:
            yield part["differences"]["candidate-champion"]


def _rounded(interval: Interval) -> dict[str, Any]:
    """Six decimals: far below any interval's width, and free of what a BLAS may do to the last."""
    return {
        side: None if number is None else round(number, 6)
        for side, number in (
            ("value", interval.value),
            ("low", interval.low),
            ("high", interval.high),
        )
    }
