"""The cascade model: people look from the top, rank by rank, until they leave.

After a click they look on with one chance, after a document that they passed over with another.
(Craswell et al. 2008's cascade, with more than one click as in Guo et al. 2009, "Efficient
Multiple-Click Models in Web Search", and with leaving without a click as in their 2009 "Click Chain
Model in Web Search".) Where a page's last look was is not seen below its last click: expectation
maximisation over the distinct pages.
"""

from dataclasses import dataclass

import numpy as np

from perennial.data.clicks.pages import Pages

_MOST_ROUNDS, _ROUNDS_OF_ALL = 60, 8
_STILL = 1e-4
_MANY_PAGES = 60_000
_SMALL = 1e-6


@dataclass(frozen=True)
class Cascade:
    """The chances to look on after a click and after a skip, and each pair's relevance."""

    after_click: float
    after_skip: float
    relevance: np.ndarray


def fit_cascade(pages: Pages) -> Cascade:
    """The model of the pages: its two chances from a part of the queries where there are very many
    pages, the relevances from all."""
    part = pages
    if len(pages.seen) > _MANY_PAGES:
        queries = np.arange(len(pages.queries))
        part = pages.of_queries(queries % -(-len(pages.seen) // _MANY_PAGES) == 0)
    habits = _rounds(part, _MOST_ROUNDS, after=(0.5, 0.9), is_free=True)
    if part is pages:
        return habits
    after = (habits.after_click, habits.after_skip)
    return _rounds(pages, _ROUNDS_OF_ALL, after=after, is_free=False)


def _rounds(pages: Pages, most: int, *, after: tuple[float, float], is_free: bool) -> Cascade:
    """Rounds of expectation maximisation; the chances `after` a click and a skip stay unless they
    are free."""
    shown, clicked = pages.shown, pages.clicked & pages.shown
    ranks = shown.shape[1]
    last = np.where(clicked, np.arange(ranks), -1).max(axis=1, initial=-1)[:, None]
    length = shown.sum(axis=1)[:, None]
    place = np.arange(ranks)[None, :]
    surely = shown & (place <= np.maximum(last, 0))  # the first rank is always looked at
    clicks = pages.per_pair(clicked)
    want = np.clip(clicks / np.maximum(pages.per_pair(surely), 1.0), 0.02, 0.98)
    seen = pages.seen[:, None]
    on_click = (seen * (clicked & (place < last))).sum()  # clicked again below: surely looked on
    on_skip = (seen * (shown & ~clicked & (place < last))).sum()
    chances = (seen * (clicked & (place < length - 1))).sum()
    tail = shown & (place >= last) & (place < length - 1)
    for _ in range(most):
        before = after
        looked = _looked_below(pages, want, last, length, after_click=after[0], after_skip=after[1])
        looked = np.where(surely, 1.0, looked)
        want = np.clip(clicks / np.maximum(pages.per_pair(looked), _SMALL), _SMALL, 1 - _SMALL)
        if not is_free:
            continue
        below = np.zeros_like(looked)
        below[:, :-1] = looked[:, 1:]  # chance that the next rank was looked at as well
        clicked_on = (seen * np.where(tail & clicked, below, 0.0)).sum()
        skipped_on = (seen * np.where(tail & ~clicked, below, 0.0)).sum()
        skips = on_skip + (seen * np.where(tail & ~clicked, looked, 0.0)).sum()
        after = (
            float(np.clip((on_click + clicked_on) / max(chances, _SMALL), 0.01, 0.999)),
            float(np.clip((on_skip + skipped_on) / max(skips, _SMALL), 0.01, 0.9999)),
        )
        if max(abs(new - old) for new, old in zip(after, before, strict=True)) < _STILL:
            break
    return Cascade(*after, want)


def expected_looks(pages: Pages, chances: tuple[float, float], relevance: np.ndarray) -> np.ndarray:
    """(p, k) chances that a rank was looked at, given the clicks above it and nothing else;
    `chances` are those to look on after a click and after a skip."""
    after_click, after_skip = chances
    shown, clicked = pages.shown, pages.clicked
    looks = np.zeros(shown.shape)
    here = np.ones(len(shown))
    for rank in range(shown.shape[1]):
        looks[:, rank] = np.where(shown[:, rank], here, 0.0)
        want = relevance[pages.pairs[:, rank]]
        passed = here * (1 - want) / np.maximum(1 - here * want, _SMALL)
        here = np.where(clicked[:, rank], after_click, passed * after_skip)
    return looks


def _looked_below(
    pages: Pages,
    want: np.ndarray,
    last: np.ndarray,
    length: np.ndarray,
    *,
    after_click: float,
    after_skip: float,
) -> np.ndarray:
    """(p, k) chances that each rank below the last click was looked at, given that nothing below
    was clicked: over all ranks at which the person may have left."""
    ranks = pages.pairs.shape[1]
    place = np.arange(ranks)[None, :]
    start = np.maximum(last, 0)
    skipped = np.where((place > last) & pages.shown, 1 - want[pages.pairs], 1.0)
    passed = np.log(np.maximum(skipped, _SMALL)).cumsum(axis=1)
    # The first step down follows the click, where there is one; the others follow skips.
    steps = np.maximum(place - start, 0)
    first = np.where((last >= 0) & (steps > 0), np.log(after_click), 0.0)
    walked = first + np.where(last >= 0, np.maximum(steps - 1, 0), steps) * np.log(after_skip)
    leaves = np.where(
        place == length - 1,
        0.0,
        np.where((place == last) & (last >= 0), np.log(1 - after_click), np.log(1 - after_skip)),
    )
    chance = np.exp(walked + passed + leaves)
    chance = np.where((place >= start) & pages.shown, chance, 0.0)
    chance /= np.maximum(chance.sum(axis=1, keepdims=True), 1e-300)
    return chance[:, ::-1].cumsum(axis=1)[:, ::-1]
