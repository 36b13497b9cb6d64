"""Upkeep: half an export is refused, and so is an index that is surely out of bounds."""

import pytest

from perennial.errors import BadInput
from perennial.quality.upkeep import judge_increment, judge_removals

SOUND = {
    "ann_recall@10": 0.99,
    "coverage": 1.0,
    "self_retrieval": 1.0,
    "dead_share": 0.1,
    "imbalance": 1.4,
}
BOUNDS = {
    "min_ann_recall": 0.95,
    "min_coverage": 1.0,
    "min_self_retrieval": 0.95,
    "max_dead_share": 0.3,
    "max_imbalance": 5.0,
    "confidence": 0.95,
}


def judged(*, probes=500, **changes):
    return judge_increment(SOUND | changes, documents=1000, probes=probes, **BOUNDS)


def test_a_sound_increment_is_promoted_with_every_figure_as_evidence():
    decision = judged()
    assert decision.outcome == "promote"
    assert {item.name for item in decision.evidence} == set(SOUND)
    assert all(item.holds for item in decision.evidence)
    assert "finds 99.0% of what exact search finds" in decision.reasons[0]


@pytest.mark.parametrize(
    ("figure", "value", "says"),
    [
        ("ann_recall@10", 0.8, "finds 80.0%"),
        ("coverage", 0.999, "holds 99.9% of the catalogue; at least 100.0% is asked: refused"),
        ("self_retrieval", 0.5, "50.0% of sampled documents"),
        ("dead_share", 0.4, "40.0% of the rows are dead; at most 30.0% is asked: refused"),
        ("imbalance", 7.0, "uneven by 7.00"),
    ],
)
def test_what_is_out_of_bounds_is_rejected_with_its_reason(figure, value, says):
    decision = judged(**{figure: value})
    assert decision.outcome == "reject"
    (reason,) = decision.reasons
    assert says in reason


def test_recall_is_judged_by_its_interval_and_never_by_its_point():
    unsure = judged(probes=20, **{"ann_recall@10": 0.9})
    assert unsure.outcome == "promote" and unsure.evidence[0].holds is None
    assert "so few probes cannot tell" in unsure.reasons[0]
    sure = judged(probes=2000, **{"ann_recall@10": 0.9})
    assert sure.outcome == "reject" and sure.evidence[0].high < 0.95


def test_a_share_of_one_survives_rounding():
    assert judged(coverage=1 - 1e-12).outcome == "promote"


def test_a_figure_that_was_not_measured_is_no_pass():
    with pytest.raises(BadInput, match="has no coverage"):
        judge_increment(
            {k: v for k, v in SOUND.items() if k != "coverage"},
            documents=1,
            probes=1,
            **BOUNDS,
        )


@pytest.mark.parametrize(
    ("removed", "held", "outcome"),
    [(0, 0, "advance"), (0, 10, "advance"), (3, 10, "advance"), (4, 10, "reject")],
)
def test_half_an_export_is_refused(removed, held, outcome):
    decision = judge_removals(removed, held, max_removed_share=0.3)
    assert decision.outcome == outcome
    assert ("--accept-removals" in decision.reasons[0]) == (outcome == "reject")
