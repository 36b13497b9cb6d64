"""The thin canary: the same people on both arms, one interval, and a rule that is said in words."""

from collections import Counter

import numpy as np
import pytest

from perennial.errors import BadInput
from perennial.quality.canary import compare_arms, judge_canary

SAID = {"samples": 500, "confidence": 0.95, "seed": 1}


def canary(won: int, lost: int, n: int = 1000, *, both: int = 500, max_loss: float = 0.02):
    """n people: `both` succeed on either arm, `won` only on the candidate, `lost` on stable."""
    person = np.arange(n)
    stable = (person < both) | ((person >= both) & (person < both + lost))
    candidate = (person < both) | ((person >= n - won) & (person < n))
    return compare_arms(stable, candidate, max_loss=max_loss, **SAID)


@pytest.mark.parametrize(
    ("won", "lost", "outcome"),
    [
        (100, 50, "advance"),  # surely better
        (0, 0, "advance"),  # the same answers: nothing can be lost
        (10, 10, "advance"),  # equal, and nearly everybody fares alike
        (200, 200, "inconclusive"),  # equal, but so different that 0.02 is not excluded
        (150, 160, "inconclusive"),
        (160, 150, "inconclusive"),  # points up, which alone is no evidence
        (50, 150, "rollback"),  # surely worse
        (0, 15, "inconclusive"),  # worse, but not surely by more than 0.02
    ],
)
def test_the_interval_decides_and_never_the_point(won, lost, outcome):
    decision = judge_canary(canary(won, lost))
    assert decision.outcome == outcome
    (evidence,) = decision.evidence
    assert evidence.holds is {"advance": True, "rollback": False, "inconclusive": None}[outcome]
    assert evidence.n == 1000 and evidence.bound == -0.02


def test_the_bounds_stand_in_the_reason_with_what_to_do():
    (reason,) = judge_canary(canary(160, 150)).reasons
    assert "+0.010" in reason and "1000 sessions on each" in reason
    assert "raise canary.sessions" in reason


def test_an_arm_without_sessions_is_not_enough_evidence():
    decision = judge_canary(compare_arms([], [], max_loss=0.02, **SAID))
    assert decision.outcome == "inconclusive"
    assert "raise canary.sessions" in decision.reasons[0]


def test_arms_that_other_people_visited_are_not_paired():
    with pytest.raises(BadInput, match="pairs need the same"):
        compare_arms([True] * 20, [True] * 21, max_loss=0.02, **SAID)


def test_the_difference_is_candidate_minus_stable_and_arms_keep_their_shares():
    found = canary(200, 100).to_dict()
    assert found["difference"]["value"] == pytest.approx(0.1)
    assert found["shares"]["candidate"]["value"] == pytest.approx(0.7)
    assert found["successes"] == {"stable": 600, "candidate": 700}
    assert found["sessions"] == {"stable": 1000, "candidate": 1000}


def test_a_candidate_that_loses_the_bound_exactly_hardly_ever_advances_or_is_rolled_back():
    rng, outcomes = np.random.default_rng(4), Counter()
    for trial in range(300):
        kind = rng.choice(4, size=400, p=[0.45, 0.1, 0.15, 0.3])  # both, candidate, stable, none
        found = compare_arms(
            np.isin(kind, [0, 2]),
            np.isin(kind, [0, 1]),
            max_loss=0.05,
            samples=400,
            confidence=0.95,
            seed=trial,
        )
        outcomes[judge_canary(found).outcome] += 1
    # 2.5 % of either are expected; 17 of 300 would be seen by chance once in a thousand tries.
    assert outcomes["advance"] < 17 and outcomes["rollback"] < 17
