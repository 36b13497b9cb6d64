"""The benchmark of the gate: its theory, and that its trials find what is there."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from infra.bench.gate_trials import METRIC, false_findings, outcomes, power
from infra.bench.gate_world import Population
from perennial.params.reading import load_params

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_the_theory_is_that_of_a_paired_t_test():
    assert power(0.0, spread=0.3, n=500, confidence=0.95) == pytest.approx(0.025, abs=1e-6)
    worlds = np.random.default_rng(1).normal(0.02, 0.25, (4000, 200))
    t = stats.ttest_1samp(worlds, 0.0, axis=1)
    found = np.mean((t.pvalue < 0.05) & (t.statistic > 0))
    assert power(0.02, spread=0.25, n=200, confidence=0.95) == pytest.approx(found, abs=0.03)


def test_trials_promote_what_is_far_better_and_reject_what_is_far_worse():
    differences = np.random.default_rng(2).normal(0.0, 0.2, 300)
    slices = ["a"] * 200 + [None] * 100
    given = {"rule": {"min_gain": 0.0}, "n": 200, "runs": 6, "seed": 1}
    params = load_params(PARAMS)
    better = outcomes(differences + 0.2, slices, params, **given)
    worse = outcomes(differences - 0.2, slices, params, **given)
    assert (better.promoted, better.rejected) == (6, 0)
    assert (worse.promoted, worse.rejected) == (0, 6)
    assert METRIC == "ndcg@10"


def test_equal_systems_are_rarely_called_changed_and_a_population_keeps_its_spread():
    differences = np.random.default_rng(3).normal(0.05, 0.2, (300, 6))
    slices = ["a"] * 150 + ["b"] * 150
    share = false_findings(differences, slices, n=120, runs=40, samples=199, seed=1)
    assert share <= 0.15
    centred = Population(differences, slices, "").centred()
    assert np.abs(centred.mean(axis=0)).max() < 1e-12
    np.testing.assert_allclose(centred.std(axis=0), differences.std(axis=0))
