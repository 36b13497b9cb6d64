"""People whose habits are known, on pages that are given: what click models are proved on.

Each function is (n, k) relevance of what was shown, from the top, to (n, k) bool clicks.
"""

import numpy as np


def position_based(
    relevance: np.ndarray, *, propensities: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """They look at rank r with its propensity, whatever else they see, and click what they want."""
    looks = generator.random(relevance.shape) < propensities[: relevance.shape[1]]
    return looks & (generator.random(relevance.shape) < relevance)


def cascading(
    relevance: np.ndarray,
    *,
    after_click: float,
    after_skip: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """They look from the top until they leave; they look on after a click and after a skip with a
    chance each."""
    here, clicked = np.ones(len(relevance), dtype=bool), np.zeros(relevance.shape, dtype=bool)
    for rank in range(relevance.shape[1]):
        clicked[:, rank] = here & (generator.random(len(here)) < relevance[:, rank])
        chance = np.where(clicked[:, rank], after_click, after_skip)
        here &= generator.random(len(here)) < chance
    return clicked


def drawn_on(
    relevance: np.ndarray,
    *,
    near: float,
    far: float,
    start: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Their eyes rest where they last clicked: the two ranks below it are looked at with `near`,
    all others with `far`, and before the first click with `start`, everywhere.

    (A user browsing model, Dupret and Piwowarski 2008: it breaks the position-based model, whose
    looks know no clicks, and the cascade, whose looks end.)
    """
    clicked = np.zeros(relevance.shape, dtype=bool)
    since = np.full(len(relevance), -1)
    for rank in range(relevance.shape[1]):
        looks = np.where(since < 0, start, np.where(since <= 2, near, far))
        looked = generator.random(len(since)) < looks
        clicked[:, rank] = looked & (generator.random(len(since)) < relevance[:, rank])
        since = np.where(clicked[:, rank], 1, np.where(since < 0, -1, since + 1))
    return clicked
