"""The intervals of foretold clicks hold the truth as often as they say, on many known logs."""

import math
from collections import Counter

import pytest
from click_worlds import pages_of
from explored_worlds import World, a_log, base, foretold, make_world, neighbours_swapped, shuffled

from perennial.data.clicks.position import fit_propensities

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.mark.parametrize(
    ("candidate", "told"), [(neighbours_swapped(40), (True, True)), (shuffled(40), (False, True))]
)
def test_its_intervals_hold_the_truth_as_often_as_they_say(world, candidate, told):
    """300 logs each; 95 %, give or take four standard errors of that share."""
    champion, other = world.clicks(base(40)), world.clicks(candidate)
    held: Counter[tuple[str, str]] = Counter()
    logs = 300
    for number in range(logs):
        found = a_log(world, pages=1500, explore=0.5, seed=[9, number])
        both = foretold(found, candidate, seed=number, min_seen=0.6)  # not only of logs that agree
        for estimate, speaks in zip(both, told, strict=True):
            assert (estimate.silent is None) == speaks
            if speaks:
                bounds = {
                    "champion": (estimate.normalised["champion"], champion),
                    "candidate": (estimate.normalised["candidate"], other),
                    "clipped": (estimate.clipped["candidate"], other),
                    "difference": (estimate.difference, other - champion),
                    "change": (estimate.change, other / champion - 1),
                }
                for name, (bound, true) in bounds.items():
                    held[estimate.method, name] += bound.low <= true <= bound.high
    slack = 4 * math.sqrt(0.95 * 0.05 / logs)
    assert len(held) == 5 * sum(told)
    for name, count in held.items():
        assert 0.95 - slack <= count / logs <= 0.95 + slack, (name, count / logs)


def test_they_hold_it_too_where_the_looks_were_estimated_on_the_same_log(world):
    candidate = shuffled(40)
    true = world.clicks(candidate) - world.clicks(base(40))
    held = 0
    logs = 40
    for number in range(logs):
        found = a_log(world, pages=4000, explore=0.5, seed=[11, number])
        order = found["shown"].astype(int)
        known = fit_propensities(pages_of(found["query"], order, found["clicked"]))
        _, position = foretold(
            found, candidate, looks=known.values, look_errors=known.errors, seed=number
        )
        held += position.difference.low <= true <= position.difference.high
    assert held / logs >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / logs), held / logs
