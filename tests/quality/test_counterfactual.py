"""Clicks foretold: right on logs whose people are known, silent where a log cannot tell."""

import math

import numpy as np
import pytest
from explored_worlds import (
    DOCUMENTS,
    HOW,
    LOOKS,
    RANKS,
    a_log,
    base,
    foretold,
    make_world,
    neighbours_swapped,
    shuffled,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.quality.counterfactual import foretell_clicks
from perennial.quality.counterfactual_totals import clipped_total, normalised_total
from perennial.quality.counterfactual_weights import by_place, by_position


@pytest.fixture(scope="module")
def world():
    return make_world()


def test_the_champion_is_foretold_the_clicks_that_it_had(world):
    found = a_log(world)
    for estimate in foretold(found, base(40)):
        assert estimate.silent is None
        for value in (*estimate.clipped.values(), *estimate.normalised.values()):
            assert value.low <= world.clicks(base(40)) <= value.high
        assert estimate.difference.value == 0.0
        assert estimate.seen.value == pytest.approx(1.0, abs=0.1)


def test_a_better_order_is_foretold_more_clicks_though_nobody_saw_it(world):
    best = np.argsort(-world.relevance[:, :RANKS], axis=1)
    _, position = foretold(a_log(world), best)
    true = world.clicks(best) - world.clicks(base(40))
    assert true > 0.2
    assert position.difference.low <= true <= position.difference.high
    assert position.difference.low > 0
    assert position.change.value == pytest.approx(
        position.difference.value / position.normalised["champion"].value
    )


def test_ranks_beyond_exploration_are_told_by_position_and_not_by_place(world):
    place, position = foretold(a_log(world), shuffled(40))
    assert "are needed" in place.silent
    assert place.difference.value is None
    assert position.silent is None and position.seen.value == 1.0


def test_documents_that_no_page_showed_silence_both(world):
    unseen = base(40) + np.where(np.arange(RANKS) < 3, DOCUMENTS - 3, 0)
    for estimate in foretold(a_log(world), unseen):
        assert "are needed" in estimate.silent
        assert estimate.seen.value < 0.9
        assert estimate.change.value is None
    # As clicks that cannot be weighed, they would have counted as none at all.
    _, forced = foretold(a_log(world), unseen, min_seen=0.0)
    assert forced.clipped["candidate"].high < world.clicks(unseen)


def test_a_log_without_exploration_is_silent(world):
    for estimate in foretold(a_log(world, explore=0.0), base(40)):
        assert "not explored" in estimate.silent and estimate.explored == 0


def test_a_log_without_clicks_or_pages_is_silent(world):
    found = a_log(world)
    for estimate in foretold(found | {"clicked": np.zeros_like(found["clicked"])}, base(40)):
        assert "has no click" in estimate.silent
    none = {name: values[:0] for name, values in found.items()}
    assert all(estimate.silent for estimate in foretold(none, base(40)))


def test_too_few_effective_pages_are_silent_and_said(world):
    few, many = a_log(world, pages=400), a_log(world, explore=0.5)
    (place, position), (enough, _) = (foretold(f, neighbours_swapped(40)) for f in (few, many))
    assert "weigh as" in place.silent and place.effective < 100
    assert position.silent is None
    assert enough.silent is None and 100 < enough.effective < 4000


def test_unknown_looks_silence_what_rests_on_them_alone(world):
    for looks in (None, np.full(RANKS, np.nan), np.r_[LOOKS[:-1], 0.0]):
        place, position = foretold(a_log(world), base(40), looks=looks)
        assert place.silent is None and "not known" in position.silent


def test_unsure_looks_widen_the_interval(world):
    found, candidate = a_log(world), shuffled(40)
    sure = foretold(found, candidate)[1].difference
    unsure = foretold(found, candidate, look_errors=np.full(RANKS, 0.05))[1].difference
    assert unsure.value == sure.value
    assert unsure.high - unsure.low > 1.2 * (sure.high - sure.low)
    # What is wrong of both sides alike does not count.
    same = foretold(found, base(40), look_errors=np.full(RANKS, 0.05))[1].difference
    assert same.low == same.high == 0.0


def test_a_cut_weight_counts_too_few_clicks_and_never_more(world):
    found = a_log(world)
    whole, cut = (
        foretold(found, neighbours_swapped(40), max_weight=w, min_effective=1.0, min_seen=0.0)[0]
        for w in (200.0, 5.0)
    )
    assert cut.clipped["candidate"].high < whole.clipped["candidate"].low
    assert whole.effective < cut.effective


NAMES = st.sampled_from([None, *"abcdefg"])


@st.composite
def small_logs(draw):
    """Pages and a ranking of up to four ranks: any length, ties and duplicates among them."""
    n, k = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rows = st.lists(NAMES, min_size=k, max_size=k)
    table = st.lists(rows, min_size=n, max_size=n)
    shown, ranking = (np.array(draw(table), dtype=object).reshape(n, k) for _ in range(2))
    flat = {"min_size": n * k, "max_size": n * k}
    chances = draw(st.lists(st.sampled_from([0.02, 0.5, 0.9, 1.0]), **flat))
    clicks = draw(st.lists(st.booleans(), **flat))
    clicked = np.array(clicks).reshape(n, k) & (shown != None)  # noqa: E711
    return shown, ranking, np.array(chances).reshape(n, k), clicked


def slow(shown, ranking, clicked, weigh):
    """(clipped, normalised) in plain loops; `weigh(page, slot, rank)` is (weight, base)."""
    n, k = shown.shape
    clipped, rates, often = 0.0, [0.0] * k, [0] * k
    sums = [[0.0, 0.0] for _ in range(k)]
    for page in range(n):
        for slot in range(k):
            wanted = ranking[page, slot]
            if wanted is None or shown[page, slot] is None:
                continue
            often[slot] += 1
            if wanted in list(ranking[page, :slot]) or wanted not in list(shown[page]):
                continue
            rank = list(shown[page]).index(wanted)
            weight, base_weight = weigh(page, slot, rank)
            clipped += weight * clicked[page, rank] / n
            sums[slot][0] += weight * clicked[page, rank]
            sums[slot][1] += base_weight
    for slot in range(k):
        rates[slot] = sums[slot][0] / sums[slot][1] if sums[slot][1] else 0.0
    return clipped, math.fsum(rate * count / n for rate, count in zip(rates, often, strict=True))


@given(small_logs())
@settings(deadline=None)
def test_both_ways_agree_with_their_definitions_in_plain_loops(logged):
    shown, ranking, chances, clicked = logged
    looks = LOOKS[: shown.shape[1]]

    def place(page, slot, rank):
        weight = min(1 / chances[page, rank], 10.0) if rank == slot else 0.0
        return weight, weight

    def position(page, slot, rank):
        return min(looks[slot] / looks[rank], 1.4), 1.0

    pairs = [
        (by_place(shown, chances, clicked, ranking, max_weight=10.0), place),
        (by_position(shown, looks, clicked, ranking, max_weight=1.4), position),
    ]
    for weighed, weigh in pairs:
        totals = clipped_total(weighed, looks), normalised_total(weighed, looks)
        assert [t.value for t in totals] == pytest.approx(slow(shown, ranking, clicked, weigh))
        for total in totals:
            assert total.influence.sum() == pytest.approx(0.0, abs=1e-9)


@given(small_logs())
@settings(deadline=None, max_examples=40)
def test_whatever_the_log_an_answer_comes_back(logged):
    shown, ranking, chances, clicked = logged
    n, k = shown.shape
    found = foretell_clicks(
        shown=shown, propensity=chances, clicked=clicked, is_explored=np.ones(n, dtype=bool),
        session=np.arange(n), champion=shown, candidate=ranking, looks=LOOKS[:k],
        look_errors=np.zeros(k), max_weight=50.0, min_effective=0.0, min_seen=0.0, **HOW,
    )  # fmt: skip
    for estimate in found:
        if estimate.silent is None:
            assert np.isfinite(estimate.difference.value) and np.isfinite(estimate.change.value)


def test_the_slopes_are_those_of_the_value(world):
    found = a_log(world, pages=300)
    shown, clicked = found["shown"], found["clicked"]
    ranking = shuffled(40)[found["query"]].astype(object)

    def values(looks):
        weighed = by_position(shown, looks, clicked, ranking, max_weight=1e9)
        return clipped_total(weighed, looks), normalised_total(weighed, looks)

    for rank in range(RANKS):
        step = np.where(np.arange(RANKS) == rank, 1e-6, 0.0)
        pairs = zip(values(LOOKS), values(LOOKS + step), values(LOOKS - step), strict=True)
        for here, up, down in pairs:
            assert here.slopes[rank] == pytest.approx((up.value - down.value) / 2e-6, abs=1e-5)
