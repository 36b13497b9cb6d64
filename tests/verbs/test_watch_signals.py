"""The signals of a look by the numbers of params.yaml: what documents ask for, and how many."""

import numpy as np
import pytest
from small import CHECKOUT

from perennial.data.live import FLAGS
from perennial.errors import BadInput
from perennial.params.reading import load_params
from perennial.quality.drift.champion import LASTING
from perennial.quality.drift.hourly import Hourly
from perennial.quality.drift.queries import Asked
from perennial.quality.drift.seasons import WEEK
from perennial.quality.drift.verdict import effects, judged, verdict
from perennial.quality.drift.wording import Words
from perennial.verbs.watching.signals import Kept, Shelf, Traffic, least_p, signals_of

PARAMS = load_params(CHECKOUT / "params.yaml").watch
SECTION = PARAMS.model_copy(update={"alpha": 0.05})  # needs few permutations
NO_TEXTS = np.empty(0, dtype=np.int64)


def cloud(count, axis, seed):
    rows = np.random.default_rng(seed).standard_normal((count, 8))
    rows[:, axis] += 3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def look(*, waiting, quiet=None):
    """A catalogue, a third of it of a kind that the champion never saw; `waiting` of 1,000 of it
    are not in the index."""
    kept = Kept(NO_TEXTS, NO_TEXTS, cloud(300, 0, seed=0))
    new = cloud(100, 1, seed=2)
    shelf = Shelf(
        documents=1000,
        waiting=waiting,
        oldest_hours=0.1,
        sample=np.concatenate([cloud(200, 0, seed=1), new]),
        arrived=new[:waiting],
    )
    found = judged(
        signals_of(None, kept, shelf, SECTION),
        alpha=SECTION.alpha,
        slices_share=SECTION.slices_share,
    )
    return verdict(found, waiting=waiting, quiet=quiet or {}), effects(found, growth=1.5)


def test_new_documents_are_indexed_first_and_then_the_encoder_learns_of_them():
    assert look(waiting=100)[0].outcome == "reindex"
    few, answers = look(waiting=5)
    assert few.outcome == "retrain"
    assert "document embeddings" in " ".join(answers)
    assert look(waiting=0)[0].outcome == "retrain"
    assert look(waiting=0, quiet=answers)[0].outcome == "none"


def everything(section):
    """Every signal of a log of two weeks and a slice, and of documents that wait."""
    hours = 490_992 + np.arange(2 * WEEK)
    hits = {name: np.full(len(hours), 9) for name in FLAGS}
    counts = Hourly(hours, np.full(len(hours), 60), hits)
    vectors = cloud(50, 0, seed=4)
    rows = np.repeat(hours, 60)
    asked = Asked(
        hours=rows,
        texts=np.arange(len(rows)) % 50,
        slices=np.full(len(rows), "guide", dtype=object),
        words=Words([f"word{i}" for i in range(50)]),
        scripts=np.full(50, "LATIN", dtype=object),
        languages=lambda chosen: np.full(len(chosen), "en", dtype=object),
        vectors=lambda chosen: vectors[chosen],
        is_common=np.ones(len(rows), dtype=bool),
    )
    traffic = Traffic(int(hours[-1]) + 1, asked, counts, counts, {"guide": counts})
    waiting = cloud(30, 0, seed=5)
    shelf = Shelf(1000, 30, 0.1, sample=cloud(100, 0, seed=6), arrived=waiting)
    kept = Kept(np.arange(50), np.arange(100) % 50, cloud(100, 0, seed=7))
    return signals_of(traffic, kept, shelf, section)


@pytest.mark.parametrize("spans", [[2], [2, 4, 6], [1, 2, 2, 3, 4]])
def test_no_level_falls_below_the_smallest_p_that_permutations_have(spans):
    section = SECTION.model_copy(update={"spans": spans, "queries": 60, "pool": 500, "alpha": 0.1})
    found = judged(everything(section), alpha=0.1, slices_share=section.slices_share)
    levels = [e.level for e in found if e.signal.p is not None and e.signal.slice is None]
    assert min(levels) >= least_p(section) * (1 - 1e-9)
    sliced = {each.signal.key for each in found if each.signal.slice is not None}
    assert "click success" in sliced
    assert "zero results" not in sliced, "an answer without documents is of no slice"
    assert {each.signal.key for each in found} >= LASTING


def test_an_alpha_that_no_permutations_can_tell_is_refused():
    with pytest.raises(BadInput, match=r"watch\.alpha 1e-06 over .* raise watch\.alpha"):
        least_p(SECTION.model_copy(update={"alpha": 1e-6}))
