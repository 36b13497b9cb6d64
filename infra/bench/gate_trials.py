"""Trials of the gate: queries drawn from a population whose true difference is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from perennial.params.whole import Params
from perennial.quality.gate import gate
from perennial.quality.metrics import METRICS
from perennial.quality.paired import FEWEST, bootstrap_means, strata_of
from perennial.quality.randomisation import holm, sign_flip_p

METRIC = "ndcg@10"
SAFE = {"value": 0.0, "low": 0.0, "high": 0.0}


@dataclass(frozen=True)
class Trials:
    """How often the gate said each, of so many experiments with n queries each."""

    runs: int
    promoted: int
    rejected: int

    @property
    def share(self) -> float:
        """Promoted ones."""
        return self.promoted / self.runs


def outcomes(
    differences: np.ndarray,
    slices: Sequence[str | None],
    params: Params,
    *,
    rule: dict[str, float],
    n: int,
    runs: int,
    seed: int,
) -> Trials:
    """(q,) differences of the gate's metric, as many as there ever were; n of them each time.

    Intervals as evaluate draws them, and the whole gate. Only this metric is at stake: what else
    the gate asks can but promote less often.
    """
    rng = np.random.default_rng(seed)
    names = np.array(["" if name is None else name for name in slices])
    section, bounds = params.evaluate, _bounds(params, rule)
    said = []
    for _ in range(runs):
        drawn = rng.integers(0, len(differences), n)
        (found,) = bootstrap_means(
            differences[drawn][:, None],
            samples=section.bootstrap_samples,
            confidence=section.confidence,
            seed=section.seed,
            strata=strata_of(names[drawn].tolist()),
        )
        cell = {"value": found.value, "low": found.low, "high": found.high}
        said.append(gate(_comparison(cell, n, section.confidence), **bounds).outcome)
    return Trials(runs, said.count("promote"), said.count("reject"))


def false_findings(
    differences: np.ndarray,
    slices: Sequence[str | None],
    *,
    n: int,
    runs: int,
    samples: int,
    seed: int,
) -> float:
    """Share of experiments in which any metric or slice of equal systems has p_holm <= 0.05.

    Equal are systems that change places by chance, query by query: ties stay ties.
    """
    rng = np.random.default_rng(seed)
    names = np.array(["" if name is None else name for name in slices])
    found = 0
    for run in range(runs):
        drawn = rng.integers(0, len(differences), n)
        sides = rng.choice([-1.0, 1.0], n)
        table, parts = differences[drawn] * sides[:, None], names[drawn]
        groups = [table] + [
            table[parts == name]
            for name in sorted(set(parts) - {""})
            if (parts == name).sum() >= FEWEST
        ]
        p = [sign_flip_p(group, samples=samples, seed=run) for group in groups]
        found += min(holm(np.concatenate(p).tolist())) <= 0.05
    return found / runs


def power(gain: float, *, spread: float, n: int, confidence: float) -> float:
    """Chance that a paired t test calls a true gain a gain (Cohen 1988, 2.2): noncentral t."""
    critical = special.stdtrit(n - 1, (1 + confidence) / 2)
    return float(stats.nct.sf(critical, n - 1, gain / spread * np.sqrt(n)))


def _comparison(cell: dict[str, Any], n: int, confidence: float) -> dict[str, Any]:
    cells = dict.fromkeys(METRICS, SAFE) | {METRIC: cell}
    sides = ("lexical", "champion", "candidate")
    return {
        "format_version": 1,
        "queries": n,
        "confidence": confidence,
        "systems": {side: dict.fromkeys(METRICS, SAFE) for side in sides},
        "differences": {
            "candidate-champion": cells,
            "candidate-lexical": dict.fromkeys(METRICS, SAFE),
        },
        "earlier": [],
        "slices": {},
        "judged": dict.fromkeys(sides, 1.0),
        "health": {"ann_recall@10": 1.0, "coverage": 1.0, "self_retrieval": 1.0}
        | {"imbalance": 1.0, "effective_rank": 1e6, "mean_similarity": 0.0},
    }


def _bounds(params: Params, rule: dict[str, float]) -> dict[str, Any]:
    smoke = {"failure": None, "queries": 200, "latency_ratio": dict.fromkeys(SAFE, 1.0)}
    chosen = params.gate.model_dump(exclude={"review", "smoke_queries"}, exclude_none=True)
    return chosen | {"metric": METRIC, "rules": {METRIC: rule}, "floors": {}, "smoke": smoke}
