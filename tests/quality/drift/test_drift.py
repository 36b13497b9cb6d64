"""Tests of drift that are exact where theory is, and see what is planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perennial.quality.drift.classifier import separability
from perennial.quality.drift.clouds import compare
from perennial.quality.drift.kernel import features, frequencies
from perennial.quality.drift.matched import matched
from perennial.quality.drift.novelty import nearest_of_other_days, novel
from perennial.quality.drift.permuted import permuted_p
from perennial.quality.drift.rates import rate_shift, tails
from perennial.quality.drift.seasons import DAY, WEEK, cells, readings
from perennial.quality.drift.volume import volume_shift
from perennial.quality.drift.wording import REFERENCE, Words, script_of

MONDAY = 490_992  # 2026-01-05T00:00Z in hours since 1970
FOUR_WEEKS = MONDAY + np.arange(4 * WEEK + 2)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_cell_is_an_hour_of_a_weekday_or_of_a_weekend():
    hours = MONDAY + np.array([0, 13, 4 * DAY + 5, 5 * DAY + 5, 6 * DAY + 23])
    assert cells(hours).tolist() == [0, 13, 5, DAY + 5, DAY + 23]
    assert cells(hours, flipped=[(MONDAY + 5 * DAY) // DAY]).tolist()[3] == 5
    assert len(list(readings(MONDAY + np.arange(20, 30)))) == 4  # two days, each of either kind


@settings(max_examples=30)
@given(st.integers(1, 300), st.floats(0.01, 0.99), st.floats(0.001, 0.4), st.data())
def test_the_tails_are_those_of_the_beta_binomial(trials, share, correlation, data):
    hits = data.draw(st.integers(0, trials))
    strength = 1 / correlation - 1
    law = stats.betabinom(trials, share * strength, (1 - share) * strength)
    low, high = tails(hits, trials, share=share, correlation=correlation)
    assert low == pytest.approx(law.cdf(hits), abs=1e-9)
    assert high == pytest.approx(law.sf(hits - 1), abs=1e-9)


def draw_log(*, share_now, weekend_share=0.3, moods=0.0, seed=0):
    generator = np.random.default_rng(seed)
    weekend = cells(FOUR_WEEKS) >= DAY
    trials = np.where(weekend, 60, 200)
    mood = np.repeat(generator.normal(0, moods, 29), DAY)[: len(trials)]
    share = np.clip(np.where(weekend, weekend_share, 0.6) + mood, 0.01, 0.99)
    share[-2:] = share_now
    return trials, generator.binomial(trials, share)


def test_a_share_that_falls_is_seen_and_one_that_stays_is_not():
    trials, hits = draw_log(share_now=0.45, weekend_share=0.7)
    assert rate_shift(trials, hits, FOUR_WEEKS, span=2, side="below").p < 1e-6
    trials, hits = draw_log(share_now=0.6, weekend_share=0.7)
    assert rate_shift(trials, hits, FOUR_WEEKS, span=2, side="below").p > 0.01


def test_a_holiday_that_behaves_like_a_sunday_is_no_drift():
    trials, hits = draw_log(share_now=0.3)  # on a Monday
    assert rate_shift(trials, hits, FOUR_WEEKS, span=2, side="both").p > 0.01


@pytest.mark.parametrize("days", [1, 3, 5, 7])
def test_the_first_days_of_a_log_foretell_nothing_that_they_do_not_know(days):
    """Three days know no spread, five no Saturday, and of seven the last is no past yet."""
    trials, _ = draw_log(share_now=0.3)
    hits = np.where(cells(FOUR_WEEKS) >= DAY, 0.3, 0.6) * trials
    end = days * DAY + 2
    log = trials[:end], hits.astype(np.int64)[:end], FOUR_WEEKS[:end]
    assert rate_shift(*log, span=2, side="below") is None
    assert volume_shift(log[0], log[2], span=2) is None


def test_a_first_saturday_is_not_judged_as_a_weekday():
    from_monday, saturday = np.arange(WEEK - 2 * DAY), WEEK - 2 * DAY + np.arange(12)
    hours = np.concatenate([MONDAY - WEEK + from_monday, MONDAY + from_monday, MONDAY + saturday])
    trials = np.full(len(hours), 200)
    hits = np.where(cells(hours) >= DAY, 60, 120)
    assert rate_shift(trials, hits, hours, span=2, side="below") is None
    quiet = np.where(cells(hours) >= DAY, 5, 200)
    assert volume_shift(quiet, hours, span=2) is None
    monday = slice(0, 2 * (WEEK - 2 * DAY))
    assert rate_shift(trials[monday], hits[monday], hours[monday], span=2, side="below").p > 0.01


def test_a_log_of_moods_makes_the_same_fall_less_surprising():
    calm, moody = (
        rate_shift(
            *draw_log(share_now=0.45, weekend_share=0.7, moods=moods),
            FOUR_WEEKS,
            span=2,
            side="below",
        )
        for moods in (0.0, 0.08)
    )
    assert moody.p > 1000 * calm.p


def test_silence_is_seen_by_day_and_says_nothing_at_night():
    generator = np.random.default_rng(1)
    usual = np.where(FOUR_WEEKS % DAY < 6, 1, 150)
    counts = generator.poisson(usual)
    counts[-2:] = 0  # Monday, from midnight on
    assert volume_shift(counts, FOUR_WEEKS, span=2).p > 0.01
    noon = FOUR_WEEKS + 12
    counts = generator.poisson(np.where(noon % DAY < 6, 1, 150))
    counts[-2:] = 0
    assert volume_shift(counts, noon, span=2).p < 1e-6


def test_nothing_is_said_without_hours_to_compare_with():
    few = np.array([5, 5])
    assert rate_shift(few, few, FOUR_WEEKS[:2], span=2, side="both") is None
    assert volume_shift(few, FOUR_WEEKS[:2], span=2) is None


def test_features_multiply_to_the_kernel():
    generator = np.random.default_rng(0)
    rows = unit(generator.standard_normal((50, 8)))
    seen = features(rows, frequencies(rows, count=4000, seed=0))
    one, other = rows[:25], rows[25:]
    middle = np.median(np.linalg.norm(rows[:, None] - rows[None], axis=2)[np.triu_indices(50, 1)])
    apart = ((one[:, None] - other[None]) ** 2).sum(axis=2)
    kernel = np.mean([np.exp(-apart / (2 * (s * middle) ** 2)) for s in (1.0, 0.5)], axis=0)
    assert np.abs(seen[:25] @ seen[25:].T - kernel).max() < 0.06
    assert np.allclose((seen**2).sum(axis=1), 1, atol=1e-5)


def test_the_permutation_p_is_that_of_all_permutations():
    rows = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    found = [permuted_p(rows, 3, widths=[1], least=1e-3, seed=i)[0] for i in range(60)]
    # Of 20 splits two are as far apart; whoever stops early estimates from few, a little above.
    assert np.mean(found) == pytest.approx(0.12, abs=0.03)


def test_where_nothing_differs_p_values_are_small_as_often_as_they_should():
    generator = np.random.default_rng(0)
    found = [
        compare(*np.split(unit(generator.standard_normal((90, 6))), [30]), least=0.01, seed=i)
        for i in range(60)
    ]
    for test in ("mmd", "centroid", "classifier"):
        assert np.mean([getattr(each, test) < 0.1 for each in found]) < 0.25


def test_a_cloud_that_moved_is_seen_by_all_three():
    generator = np.random.default_rng(0)
    one, other = generator.standard_normal((2, 200, 6))
    moved = compare(unit(one + 0.8), unit(other), least=1e-3, seed=0)
    assert max(moved.mmd, moved.centroid, moved.classifier) < 0.002
    assert moved.auc > 0.8


def test_equal_scores_everywhere_tell_nothing_apart():
    same = np.ones((40, 3))
    assert separability(same, same, ridge=0.1, seed=0)[0] == pytest.approx(0.5)


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_nearest_neighbours_of_other_days_are_those_of_a_plain_loop(seed):
    generator = np.random.default_rng(seed)
    vectors = unit(generator.standard_normal((6, 3)))
    texts, days = generator.integers(0, 6, 12), generator.integers(0, 3, 12)
    is_past = np.arange(12) > 2
    found = nearest_of_other_days(vectors, texts, days, is_past)
    for row in range(12):
        others = [r for r in range(12) if is_past[r] and days[r] != days[row]]
        wanted = max((vectors[texts[row]] @ vectors[texts[r]] for r in others), default=-2.0)
        assert found[row] == pytest.approx(wanted)


def test_queries_far_from_all_others_are_novel():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((400, 8)) * 0.2
    vectors[:380, 0] += 1
    vectors[380:, 1] += 1
    rows = np.arange(400)
    flags = novel(unit(vectors), rows, rows // 20, rows < 340, share=0.05)
    assert flags[:380].mean() < 0.12
    assert flags[380:].mean() > 0.6


def test_a_word_is_unseen_that_no_other_day_knows():
    words = Words(["sort an array", "Sort a LIST", "list", ""])
    texts, days = np.array([0, 1, 2, 3]), np.array([5, 5, 6, 6])
    assert words.unseen(texts, days).tolist() == [True, True, False, False]
    both = words.unseen(np.append(texts, 0), np.append(days, REFERENCE))
    assert both.tolist() == [False, True, False, False, False]
    assert words.lengths.tolist() == [3, 3, 1, 0]


def test_a_text_has_the_script_of_most_of_its_letters():
    found = [script_of(t) for t in ("sort 3", "\u0441\u043e\u0440\u0442 a", "123", "")]
    assert found == ["LATIN", "CYRILLIC", "", ""]


def test_matched_samples_have_the_same_hours_in_the_same_proportions():
    hours = np.concatenate([np.repeat(FOUR_WEEKS[:-2], 5), np.repeat(FOUR_WEEKS[-2:], [40, 10])])
    rows = np.arange(len(hours))
    is_now = hours >= FOUR_WEEKS[-2]
    pair = matched(hours, rows[is_now], rows[~is_now], flipped=(), most=100, ratio=2.0, seed=0)
    ours, theirs = (np.bincount(cells(hours[r]), minlength=48)[:2] for r in (pair.now, pair.past))
    assert ours.tolist() == [40, 10]
    assert theirs.tolist() == [80, 20]
    assert not set(pair.now) & set(pair.past)
