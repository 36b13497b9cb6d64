"""On people whose habits are known, the judge finds them, and says so where it cannot."""

import numpy as np
import pytest
from click_worlds import DECAY, world
from scipy.stats import kendalltau

from perennial.data.clicks.model import fit_model
from perennial.data.judge import relevance_of
from perennial.simulation.users import cascading, drawn_on, position_based

pytestmark = pytest.mark.slow
BOUNDS = {"min_links": 100.0, "significance": 0.01, "max_misfit": 0.05}
USERS = {
    "position": (position_based, {"propensities": DECAY}),
    "cascade": (cascading, {"after_click": 0.5, "after_skip": 0.9}),
}
NOMINAL = 0.8


@pytest.mark.parametrize("seed", range(3))
def test_estimated_propensities_lie_within_three_hundredths_of_the_true_ones(seed):
    users, habits = USERS["position"]
    pages, _ = world(users, seed=seed, queries=150, seen=4000, **habits)
    model = fit_model(pages, wanted="auto", **BOUNDS)
    assert model.name == "position"
    assert np.abs(model.propensities - DECAY / DECAY[0]).max() <= 0.03


@pytest.mark.parametrize("name", USERS)
def test_relevance_ranks_better_than_raw_click_through(name):
    users, habits = USERS[name]
    pages, true = world(users, seed=1, **habits)
    model = fit_model(pages, wanted="auto", **BOUNDS)
    assert model.name == name and model.fit.describes
    found = relevance_of(pages, model, confidence=NOMINAL)
    raw = found.clicks / found.shown
    better, worse = (kendalltau(values, true).statistic for values in (found.value, raw))
    assert better > worse + 0.1


@pytest.mark.parametrize("name", USERS)
def test_intervals_cover_at_their_nominal_rate(name):
    users, habits = USERS[name]
    inside = []
    for seed in range(5):
        pages, true = world(users, seed=10 + seed, seen=1000, **habits)
        model = fit_model(pages, wanted=name, **BOUNDS)
        found = relevance_of(pages, model, confidence=NOMINAL)
        inside.append(((found.low <= true) & (true <= found.high)).mean())
    # Wider than nominal by what is not known of the propensities, which all intervals share.
    assert NOMINAL - 0.03 <= np.mean(inside) <= NOMINAL + 0.12


@pytest.mark.parametrize("wanted", ["auto", "position", "cascade"])
def test_people_whom_no_model_describes_are_told_by_the_goodness_of_fit(wanted):
    pages, _ = world(drawn_on, seed=1, near=0.9, far=0.3, start=0.6)
    model = fit_model(pages, wanted=wanted, **BOUNDS)
    assert not model.fit.describes and model.fit.p_value < 1e-6


@pytest.mark.parametrize("name", USERS)
def test_a_log_that_the_model_describes_is_seldom_flagged(name):
    users, habits = USERS[name]
    found = [
        fit_model(world(users, seed=seed, seen=500, **habits)[0], wanted=name, **BOUNDS).fit
        for seed in range(20)
    ]
    assert sum(not fit.describes for fit in found) <= 1
    assert np.mean([fit.p_value < 0.05 for fit in found]) <= 0.2


def test_without_exploration_the_log_is_not_identifiable():
    users, habits = USERS["position"]
    pages, _ = world(users, seed=1, explore=0.0, **habits)
    assert not fit_model(pages, wanted="auto", **BOUNDS).identifiable
