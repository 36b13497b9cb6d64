"""comparison.json's value: complete, finite, the same twice."""

import json

import numpy as np
import pytest

from perennial.errors import BadInput
from perennial.quality.comparison import compare, largest_changes
from perennial.quality.metrics import JUDGED, METRICS
from perennial.quality.paired import paired_difference

INTERVAL = {"samples": 300, "confidence": 0.95, "seed": 3}
SETTINGS = INTERVAL | {"randomisations": 199}
HEALTH = {"ann_recall@10": 0.99, "coverage": 1.0, "effective_rank": 90.0}


def scores(seed: int, n: int = 40, lift: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: np.clip(rng.random(n) + lift, 0, 1) for name in (*METRICS, JUDGED)}


def world(n: int = 40) -> dict[str, dict[str, np.ndarray]]:
    return {"lexical": scores(1, n), "champion": scores(2, n), "candidate": scores(3, n, 0.2)}


def test_every_system_and_difference_has_every_metric_with_its_interval():
    slices = ["numpy"] * 30 + ["scipy"] * 9 + [None]
    comparison = compare(world(), slices=slices, health=HEALTH, **SETTINGS)
    assert comparison["format_version"] == 1
    assert comparison["queries"] == 40
    assert set(comparison["systems"]) == {"lexical", "champion", "candidate"}
    for metrics in comparison["systems"].values():
        assert set(metrics) == {*METRICS, JUDGED}
        assert all(m["low"] <= m["value"] <= m["high"] for m in metrics.values())
    for metrics in comparison["differences"].values():
        assert set(metrics) == set(METRICS)
        assert all(m["wins"] + m["ties"] + m["losses"] == 40 for m in metrics.values())
    assert {name: s["queries"] for name, s in comparison["slices"].items()} == {
        "numpy": 30,
        "scipy": 9,
    }
    assert comparison["health"] == HEALTH


def test_the_value_is_plain_json_without_nan_and_the_same_twice():
    one, two = (
        json.dumps(compare(world(), slices=[None] * 40, health=HEALTH, **SETTINGS), allow_nan=False)
        for _ in range(2)
    )
    assert one == two


def test_a_difference_is_the_paired_one_of_the_two_columns():
    systems = world()
    comparison = compare(systems, slices=[None] * 40, health=HEALTH, **SETTINGS)
    expected = paired_difference(
        systems["candidate"]["map"], systems["champion"]["map"], **INTERVAL
    )
    written = comparison["differences"]["candidate-champion"]["map"]
    assert (written["value"], written["low"]) == pytest.approx(
        (expected.value, expected.low), abs=1e-6
    )
    assert written["wins"] == expected.wins


def test_a_handful_of_queries_has_values_but_no_bounds():
    comparison = compare(world(3), slices=[None] * 3, health=HEALTH, **SETTINGS)
    cell = comparison["differences"]["candidate-champion"]["ndcg@10"]
    assert cell["value"] is not None
    assert (cell["low"], cell["high"]) == (None, None)


def test_no_lexical_baseline_leaves_its_difference_out():
    systems = {name: s for name, s in world().items() if name != "lexical"}
    comparison = compare(systems, slices=[None] * 40, health=HEALTH, **SETTINGS)
    assert set(comparison["differences"]) == {"candidate-champion"}


def test_systems_that_answered_different_queries_are_refused():
    systems = world() | {"champion": scores(2, 39)}
    with pytest.raises(BadInput, match="'champion': 39"):
        compare(systems, slices=[None] * 40, health=HEALTH, **SETTINGS)
    with pytest.raises(BadInput, match="no scores of the candidate"):
        compare({"champion": scores(2)}, slices=[None] * 40, health=HEALTH, **SETTINGS)


def test_the_largest_changes_are_gains_and_losses_only_largest_first():
    champion = np.array([0.5, 0.5, 0.5, 0.5, 0.5])
    candidate = np.array([0.9, 0.1, 0.5, 1.0, 0.4])
    assert largest_changes(candidate, champion, examples=3) == ([3, 0], [1, 4])
    assert largest_changes(champion, champion, examples=3) == ([], [])


def test_every_cell_has_its_chance_its_effect_and_against_the_champion_its_correction():
    slices = ["numpy"] * 25 + ["scipy"] * 9 + [None] * 6
    comparison = compare(world(), slices=slices, health=HEALTH, **SETTINGS)
    whole = comparison["differences"]["candidate-champion"]
    numpy, scipy = (
        comparison["slices"][name]["differences"]["candidate-champion"]
        for name in ("numpy", "scipy")
    )
    family = [cell for cells in (whole, numpy) for cell in cells.values()]
    assert len(family) == 12
    assert all(1 / 200 <= cell["p"] <= cell["p_holm"] <= 1 for cell in family)
    assert all("p_holm" not in cell and cell["low"] is None for cell in scipy.values())
    assert all("p_holm" not in c for c in comparison["differences"]["candidate-lexical"].values())
    cell = whole["ndcg@10"]
    assert np.sign(cell["cohens_dz"]) == np.sign(cell["value"])


def test_an_earlier_release_is_one_more_system_to_differ_from():
    systems = world() | {"rel-0123456789ab": scores(7)}
    comparison = compare(systems, slices=[None] * 40, health=HEALTH, **SETTINGS)
    assert comparison["earlier"] == ["rel-0123456789ab"]
    assert "candidate-rel-0123456789ab" in comparison["differences"]
    assert "rel-0123456789ab" in comparison["judged"]


def test_a_first_release_is_compared_with_what_there_is():
    systems = {name: s for name, s in world().items() if name != "champion"}
    comparison = compare(systems, slices=["a"] * 40, health=HEALTH, **SETTINGS)
    assert set(comparison["differences"]) == {"candidate-lexical"}
    assert "differences" not in comparison["slices"]["a"]


def test_slices_that_differ_in_difficulty_do_not_widen_a_difference():
    rng = np.random.default_rng(6)
    lift = np.repeat([0.3, -0.3], 100)
    base = dict.fromkeys((*METRICS, JUDGED), rng.random(200))
    ours = {name: values + lift + rng.normal(0, 0.05, 200) for name, values in base.items()}
    systems = {"champion": base, "candidate": ours}
    widths = []
    for slices in (["a"] * 100 + ["b"] * 100, [None] * 200):
        found = compare(systems, slices=slices, health=HEALTH, **SETTINGS)
        cell = found["differences"]["candidate-champion"]["map"]
        widths.append(cell["high"] - cell["low"])
    assert widths[0] < widths[1] / 3
