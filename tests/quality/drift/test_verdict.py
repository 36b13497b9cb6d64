"""From signals to a verdict: priorities, levels, floors, and what a retrain answered."""

import pytest

from perennial.quality.drift.signal import Signal
from perennial.quality.drift.verdict import effects, judged, latecomers, verdict


def signal(key="novel queries", about="queries", *, p=1e-9, effect=0.2, floor=0.05, slice=None):
    return Signal(key, about, 2, effect, floor, p, 500, f"{key} moved", slice)


def decide(*signals, waiting=10, quiet=None):
    found = judged(signals, alpha=0.001, slices_share=0.3)
    return verdict(found, waiting=waiting, quiet=quiet or {})


BROKEN = signal("log: events", "operation")
ARRIVED = signal("new kind of documents", "documents")
CLICKS = signal("click success", "clicks")
KINDS = signal("document embeddings", "kinds")


@pytest.mark.parametrize(
    ("signals", "outcome"),
    [
        ((signal(), CLICKS), "retrain"),
        ((ARRIVED,), "reindex"),
        ((KINDS,), "retrain"),
        ((signal(), ARRIVED), "retrain"),
        ((signal(), ARRIVED, BROKEN), "page"),
        ((signal(effect=0.01),), "none"),
        ((signal(p=0.01),), "none"),
        ((signal(p=None, effect=0.06),), "retrain"),
    ],
)
def test_what_is_broken_comes_first_then_the_encoder_then_the_index(signals, outcome):
    assert decide(*signals).outcome == outcome


def test_every_signal_takes_its_part_of_alpha():
    alone = judged([signal(p=0.0009)], alpha=0.001, slices_share=0.3)
    crowd = judged([signal(p=0.0009)] * 20, alpha=0.001, slices_share=0.3)
    mixed = judged([signal(), signal(slice="a"), signal(slice="b")], alpha=0.001, slices_share=0.3)
    assert alone[0].fires and not crowd[0].fires
    assert sum(each.level for each in crowd) == pytest.approx(0.001)
    assert [each.level for each in mixed] == pytest.approx([0.0007, 0.00015, 0.00015])


def test_documents_that_the_index_holds_need_no_reindex():
    decision = decide(ARRIVED, waiting=0)
    assert decision.outcome == "none"
    assert "nothing to do" in decision.reasons[0]


def test_an_answered_drift_is_quiet_until_it_grows_or_another_comes():
    answered = effects(judged([signal(), CLICKS], alpha=0.001, slices_share=0.3), growth=1.5)
    assert answered["novel queries"] == pytest.approx(0.3)
    assert decide(signal(effect=0.25), quiet=answered).outcome == "none"
    assert decide(signal(effect=0.35), quiet=answered).outcome == "retrain"
    assert decide(signal("unseen words"), quiet=answered).outcome == "retrain"
    assert decide(BROKEN, quiet=answered).outcome == "page"


def test_a_retrain_answers_only_what_fired_and_what_was_answered_before():
    """A small fall of clicks, ten days after new topics were answered, is another drift."""
    seen = judged([signal(), signal("click success", "clicks", p=0.4, effect=0.01)], alpha=0.001,
                  slices_share=0.3)  # fmt: skip
    answered = effects(seen, growth=1.5, still={"reformulation": 0.2})
    assert answered == pytest.approx({"novel queries": 0.3, "reformulation": 0.2})
    fall = signal("click success", "clicks", p=1e-30, effect=0.07)
    assert decide(fall, quiet=answered).outcome == "retrain"
    assert decide(fall, quiet=latecomers(seen, growth=1.5)).outcome == "none"


def test_the_reasons_say_what_moved_and_how_sure_that_is():
    reasons = decide(signal(slice="guide"), CLICKS).reasons
    assert reasons[0].startswith(
        "What people ask or click, or what they search in, changed: 2 of 2"
    )
    assert "A reindex is due as well" not in " ".join(reasons)
    assert "A reindex is due as well" in " ".join(decide(CLICKS, ARRIVED).reasons)
    assert "Novel queries moved, in slice guide (p = 1e-09)." in reasons
