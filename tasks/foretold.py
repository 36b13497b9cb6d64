"""Asks both releases what logged pages were about, and foretells from their clicks."""

import csv
import json
import math

import numpy as np

from perennial.data.explored import read_explored
from perennial.quality.counterfactual import Clicks, foretell_clicks
from perennial.serving.loaded import LoadedRelease
from tasks.run import Run

_Z = 1.959964  # judge writes 95 % intervals
_BATCH = 64


def clicks_foretold(
    run: Run, champion: LoadedRelease, candidate: LoadedRelease, *, k: int
) -> tuple[Clicks, Clicks]:
    """Clicks by place and by position, of the accepted log; see quality/counterfactual.py."""
    section, evaluate, log = run.params.shadow, run.params.evaluate, run.workspace.log
    looks, errors = known_looks(run)
    k = k if looks is None else min(k, len(looks))
    found = read_explored(
        requests=log("requests"),
        impressions=log("impressions"),
        events=log("events"),
        most=section.pages,
        k=k,
        seed=section.seed,
    )
    old, new = (_rankings(release, found.queries, k) for release in (champion, candidate))
    return foretell_clicks(
        shown=found.shown,
        propensity=found.propensity,
        clicked=found.clicked,
        is_explored=found.is_explored,
        session=found.session,
        champion=old[found.query],
        candidate=new[found.query],
        looks=None if looks is None else looks[:k],
        look_errors=None if errors is None else errors[:k],
        max_weight=section.max_weight,
        min_effective=section.min_effective,
        min_seen=section.min_seen,
        samples=evaluate.bootstrap_samples,
        confidence=evaluate.confidence,
        seed=evaluate.seed,
    )


def known_looks(run: Run) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Judge's (ranks,) chances of a look and their standard errors, where people look at a rank
    whatever else they see; None where they do not, or nobody can tell."""
    folder = run.workspace.artifacts("judge")
    if json.loads((folder / "summary.json").read_text())["model"] != "position":
        return None, None
    with (folder / "propensities.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    looks, high = (
        np.array([float(row[name] or math.nan) for row in rows]) for name in ("propensity", "high")
    )
    return looks, (high - looks) / _Z


def _rankings(release: LoadedRelease, queries: list[str], k: int) -> np.ndarray:
    documents = np.full((len(queries), k), None, dtype=object)
    for start in range(0, len(queries), _BATCH):
        answers = release.search_many(queries[start : start + _BATCH], k)
        for row, answer in enumerate(answers, start):
            for hit in answer.hits:
                documents[row, hit.rank - 1] = hit.doc_id
    return documents
