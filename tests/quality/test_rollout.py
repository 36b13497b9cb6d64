"""The rule of a rollout: what is looked at first, what each alarm says, and when it may go on."""

from dataclasses import replace

import pytest

from perennial.quality.rollout import TESTS, judge_traffic
from perennial.quality.traffic import Arrived, Stratum

SPLIT = dict.fromkeys(TESTS, 1 / len(TESTS))
RULE = {
    "margin": 0.1,
    "max_loss": 0.0,
    "design_loss": 0.1,
    "success": 0.6,
    "alpha": 0.05,
    "split": SPLIT,
    "max_slow": 0.05,
    "max_failed": 0.01,
    "max_empty": 0.02,
}


def arm(n: int, rate: float = 0.6, **troubles: int) -> Arrived:
    return Arrived(began=n, settled=n, successes=round(n * rate), **troubles)


def day(candidate: Arrived, stable: Arrived, **changes) -> Stratum:
    return replace(Stratum(3, "canary", 0.5, "2026-02-01", stable, candidate), **changes)


def judged(*strata: Stratum, **changes):
    return judge_traffic(strata, **(RULE | changes))


@pytest.mark.parametrize(
    ("candidate", "margin", "outcome"),
    [
        (arm(10_000, 0.60), 0.1, "advance"),  # equal, and a loss of 10 % is excluded
        (arm(10_000, 0.60), 0.01, "inconclusive"),  # equal, but 1 % is not excluded yet
        (arm(10_000, 0.66), 0.01, "advance"),  # better
        (arm(10_000, 0.54), 0.1, "rollback"),  # a sure loss
        (arm(10_000, 0.55), 0.3, "rollback"),  # also where far less would pass this step's margin
        (arm(100, 0.50), 0.1, "inconclusive"),
        (arm(0), 0.1, "inconclusive"),
    ],
)
def test_the_bounds_decide_and_never_the_point(candidate, margin, outcome):
    n = candidate.began
    assert judged(day(candidate, arm(n)), margin=margin).outcome == outcome


def test_a_loss_that_is_allowed_is_not_stopped():
    both = day(arm(20_000, 0.58), arm(20_000))
    assert judged(both, max_loss=0.08).outcome == "advance"


@pytest.mark.parametrize(
    ("candidate", "stable", "name"),
    [
        (arm(4_500), arm(5_500), "sample ratio"),
        (arm(3_000, slow=1_000), arm(3_000, slow=150), "slow first answers"),
        (arm(3_000, failed=120), arm(3_000), "failed first answers"),
        (arm(3_000, empty=300), arm(3_000, empty=30), "empty first answers"),
    ],
)
def test_a_guardrail_stops_what_people_like(candidate, stable, name):
    liked = replace(candidate, successes=round(candidate.settled * 0.7))
    decision = judged(day(liked, stable))
    assert decision.outcome == "rollback"
    assert [each.name for each in decision.evidence if each.holds is False] == [name]
    assert len(decision.reasons) == 1


def test_a_little_slower_is_allowed():
    assert judged(day(arm(5_000, slow=300), arm(5_000, slow=250))).outcome == "advance"


def test_what_was_seen_at_smaller_shares_counts_on():
    small = Stratum(1, "canary", 0.01, "2026-01-31", arm(99_000), arm(1_000, 0.48))
    assert judged(small).outcome == "rollback"
    assert judged(small, day(arm(200), arm(200))).outcome == "rollback"


def test_interleaved_sessions_are_judged_by_what_they_won():
    seen = Arrived(began=5_000)
    both = day(seen, arm(5_000), stage="interleave", wins=1_500, losses=1_500, ties=2_000)
    assert judged(both).outcome == "advance"
    assert judged(replace(both, wins=1_300, losses=1_700)).outcome == "rollback"
    assert judged(replace(both, wins=15, losses=15)).outcome == "inconclusive"
    decision = judged(replace(both, candidate=replace(seen, began=4_000)))
    assert decision.outcome == "rollback", "the draw is tested there too"


def test_what_one_method_showed_proves_nothing_to_the_other():
    won = day(Arrived(began=5_000), arm(5_000), stage="interleave", wins=1_500, losses=1_500)
    people = replace(day(arm(200), arm(200)), step=4)
    assert judged(won).outcome == "advance"
    assert judged(won, people).outcome == judged(people).outcome == "inconclusive"
    found = replace(day(arm(10_000), arm(10_000)), step=2)
    assert judged(found).outcome == "advance"
    few = replace(won, wins=15, losses=15)
    assert judged(found, few).outcome == judged(few).outcome == "inconclusive"
