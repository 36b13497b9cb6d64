"""Click models on small logs: what they cannot tell they say, and nothing makes them stumble."""

import math

import numpy as np
import pytest
from click_worlds import DECAY, pages_of, world
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.clicks.agreement import calibrate, separation
from perennial.data.clicks.cascade import expected_looks, fit_cascade
from perennial.data.clicks.identify import linked_ranks
from perennial.data.clicks.model import fit_model
from perennial.data.clicks.relevance import log_likelihood
from perennial.data.judge import judge_pages
from perennial.simulation.users import cascading, position_based

BOUNDS = {"min_links": 50.0, "significance": 0.01, "max_misfit": 0.1}


def test_a_log_without_exploration_is_not_identifiable():
    pages, _ = world(position_based, seed=1, seen=300, explore=0.0, propensities=DECAY)
    model = fit_model(pages, wanted="auto", **BOUNDS)
    assert (model.name, model.identifiable, model.fit) == ("plain", False, None)
    assert np.isnan(model.propensities).all()


def test_two_halves_of_a_page_that_never_mix_are_not_identifiable():
    pages, _ = world(position_based, seed=1, queries=20, ranks=4, seen=400, propensities=DECAY)
    mixed = (pages.pairs[:, :2] // 1 % 4 >= 2).any(axis=1)
    apart = fit_model(
        type(pages)(**vars(pages) | {"pairs": pages.pairs[~mixed], "clicked": pages.clicked[~mixed],
                                     "seen": pages.seen[~mixed]}),
        wanted="auto", **BOUNDS,
    )  # fmt: skip
    assert not apart.identifiable
    assert fit_model(pages, wanted="auto", **BOUNDS).identifiable


@pytest.mark.parametrize(
    ("users", "habits", "name"),
    [
        (position_based, {"propensities": DECAY}, "position"),
        (cascading, {"after_click": 0.4, "after_skip": 0.85}, "cascade"),
    ],
)
def test_auto_takes_the_model_that_the_people_follow(users, habits, name):
    pages, _ = world(users, seed=3, queries=40, seen=800, **habits)
    model = fit_model(pages, wanted="auto", **BOUNDS)
    assert model.name == name and model.fit.describes
    other = {"position": "cascade", "cascade": "position"}[name]
    asked = fit_model(pages, wanted=other, **BOUNDS)
    assert asked.name == other
    assert log_likelihood(pages, model.looks(pages)) > log_likelihood(pages, asked.looks(pages))


def test_links_count_only_what_was_clicked_and_moved():
    query = np.zeros(10, dtype=int)
    order = np.array([[0, 1, 2]] * 7 + [[1, 0, 2]] * 3)
    clicked = np.zeros((10, 3), dtype=bool)
    clicked[0, 0] = True  # document 0, and only it
    links = linked_ranks(pages_of(query, order, clicked))
    assert links[0, 1] == links[1, 0] == 3 and links[2, :2].sum() == 0


def slow_looks(clicked, want, after_click, after_skip):
    """The chance of each look given the clicks above, by going through all ways to have left."""
    onward = [after_click if click else after_skip for click in clicked]
    seen = [w if click else 1 - w for click, w in zip(clicked, want, strict=False)]
    looks = []
    for rank in range(len(clicked)):
        here = math.prod(seen[:rank]) * math.prod(onward[:rank])
        left = sum(
            math.prod(seen[: last + 1]) * math.prod(onward[:last]) * (1 - onward[last])
            for last in range(rank)
            if not any(clicked[last + 1 : rank])
        )
        looks.append(here / (here + left))
    return looks


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=5),
    st.lists(st.floats(0.05, 0.9), min_size=5, max_size=5),
    st.floats(0.1, 0.9),
    st.floats(0.1, 0.9),
)
def test_expected_looks_are_those_of_the_slow_twin(clicked, want, after_click, after_skip):
    ranks = len(clicked)
    pages = pages_of(np.zeros(1, dtype=int), np.arange(ranks)[None], np.array([clicked]))
    found = expected_looks(pages, (after_click, after_skip), np.array(want[:ranks]))
    assert found[0] == pytest.approx(slow_looks(clicked, want, after_click, after_skip))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_log_makes_a_model_stumble(data):
    count, ranks = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    query = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    order = np.array([data.draw(st.permutations(range(ranks))) for _ in range(count)])
    flat = data.draw(st.lists(st.booleans(), min_size=count * ranks, max_size=count * ranks))
    pages = pages_of(query, order, np.array(flat).reshape(count, ranks))
    wanted = data.draw(st.sampled_from(["auto", "position", "cascade", "plain"]))
    model = fit_model(pages, wanted=wanted, min_links=1.0, significance=0.01, max_misfit=0.1)
    judged = judge_pages(
        pages, model, min_examinations=1, min_click_rate=0.2, max_negative_rate=0.2, confidence=0.8
    )
    numbers = judged[["relevance", "low", "high", "examinations", "click_rate"]].to_numpy()
    assert np.isfinite(numbers).all() and (judged["low"] <= judged["high"]).all()
    assert judged["relevance"].between(0, 1).all()


def test_a_cascade_finds_its_two_chances():
    pages, _ = world(cascading, seed=5, queries=40, seen=800, after_click=0.3, after_skip=0.8)
    model = fit_cascade(pages)
    assert (model.after_click, model.after_skip) == pytest.approx((0.3, 0.8), abs=0.02)


def test_separation_is_the_share_of_pairs_in_the_right_order():
    scores, good = np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])
    assert separation(scores, good) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert separation(scores, np.ones(4, dtype=bool)) is None


def test_calibration_is_monotone_and_meets_the_labels():
    scores = np.linspace(0, 1, 200)
    labels = np.random.default_rng(0).random(200) < scores**2
    (found,) = calibrate(scores, labels, at=(scores,))
    assert (np.diff(found) >= 0).all()
    assert found.mean() == pytest.approx(labels.mean())


def test_calibration_does_not_ask_in_which_order_equal_scores_stand():
    scores, labels = np.zeros(4), np.array([0, 0, 1, 1])
    for order in (labels, labels[::-1]):
        assert calibrate(scores, order, at=(np.zeros(1),))[0].tolist() == [0.5]


def test_many_pages_are_fitted_as_few_are(monkeypatch):
    pages, _ = world(cascading, seed=5, queries=60, seen=800, after_click=0.3, after_skip=0.8)
    whole = fit_cascade(pages)
    monkeypatch.setattr("perennial.data.clicks.cascade._MANY_PAGES", len(pages.seen) // 3)
    part = fit_cascade(pages)
    assert (part.after_click, part.after_skip) == pytest.approx(
        (whole.after_click, whole.after_skip), abs=0.02
    )
    assert np.abs(part.relevance - whole.relevance).mean() < 0.03
