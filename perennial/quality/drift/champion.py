"""A week of queries beside those that the champion was made of: a drift so slow that the weeks
before any hour follow it is seen from where it began.

Whole weeks on both sides, so that no season tells them apart. Days have moods: how much the share
of a day differs from the next one's is learned from the week itself, and beyond chance a drift must
be as large as its floor.
"""

import numpy as np
import numpy.typing as npt

from perennial.quality.drift.clouds import compare
from perennial.quality.drift.embeddings import TESTS, cloud_signals, key_of
from perennial.quality.drift.hourly import Hourly
from perennial.quality.drift.novelty import novel
from perennial.quality.drift.queries import Asked
from perennial.quality.drift.rates import tails
from perennial.quality.drift.seasons import DAY, WEEK
from perennial.quality.drift.signal import Signal

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_BESIDE = "the champion"
_UNLIKE = "queries unlike the champion's"
# A week's: in the days after a retrain they still see what it has answered.
OF_A_WEEK = frozenset([_UNLIKE, *(key_of("query", beside=_BESIDE, test=test) for test in TESTS)])
# Only another champion ends them: the one that serves keeps its references.
LASTING = OF_A_WEEK | {key_of("document", beside=_BESIDE, test=test) for test in TESTS}


def champion_signals(
    asked: Asked,
    reference: Ints,
    *,
    sessions: Hourly,
    end: int,
    most: int,
    novel_share: float,
    floor: float,
    cloud_floor: float,
    min_queries: int,
    least: float,
    seed: int,
) -> list[Signal]:
    """The week before the hour `end` beside `reference`, (m,) numbers of texts as often as they
    were asked; none before a week of the log is known, or where either side is too small."""
    if sessions.hours[0] > end - WEEK or len(reference) < min_queries:
        return []
    rows = _as_traffic(asked, sessions, end=end, most=most, seed=seed)
    if len(rows) < min_queries:
        return []
    texts = asked.texts[rows]
    clouds = compare(asked.vectors(texts), asked.vectors(reference), least=least, seed=seed)
    return [
        _unlike(asked, texts, asked.hours[rows], reference, share=novel_share, floor=floor),
        *cloud_signals(clouds, about="queries", hours=WEEK, floor=cloud_floor, beside=_BESIDE),
    ]


def _as_traffic(asked: Asked, sessions: Hourly, *, end: int, most: int, seed: int) -> Ints:
    """At most `most` common rows of the week, each hour as often as it had sessions: of a busy one
    only some are known."""
    week = np.flatnonzero((asked.hours >= end - WEEK) & (asked.hours < end))
    known = np.bincount(asked.hours[week] - (end - WEEK), minlength=WEEK)
    rows = week[asked.is_common[week]]
    places = asked.hours[rows] - (end - WEEK)
    weights = sessions.trials[-WEEK:][places] / known[places]
    generator = np.random.default_rng([seed, end])
    size = min(most, len(rows))
    if not size:
        return rows
    return np.sort(generator.choice(rows, size, replace=False, p=weights / weights.sum()))


def _unlike(
    asked: Asked, texts: Ints, hours: Ints, reference: Ints, *, share: float, floor: float
) -> Signal:
    n, m = len(texts), len(reference)
    distinct, numbers = np.unique(np.concatenate([texts, reference]), return_inverse=True)
    rows = np.arange(n + m)
    # Each reference has a day of its own: it is not compared with itself.
    flags = novel(asked.vectors(distinct), numbers, rows, rows >= n, share=share)
    hits, usual = int(flags[:n].sum()), float(flags[n:].mean())
    usual = max(usual, 1 / m)
    correlation = min(1 / m + _moods(flags[:n], hours // DAY), 0.5)
    p = tails(hits, n, share=usual, correlation=correlation)[1]
    said = (
        f"{hits / n:.1%} of {n:,} queries of a week resemble none that the champion was made of, "
        f"where {usual:.1%} are usual"
    )
    return Signal(_UNLIKE, "queries", WEEK, hits / n - usual, floor, p, n, said)


def _moods(flags: Flags, days: Ints) -> float:
    """The correlation of two queries of the week that the moods of its days make, by moments."""
    _, day = np.unique(days, return_inverse=True)
    much, share = np.bincount(day), float(flags.mean())
    odd = (np.bincount(day, flags) - much * share) ** 2 - much * share * (1 - share)
    pairs = float((much * (much - 1)).sum()) * share * (1 - share)
    within = max(float(odd.sum()) / pairs, 0.0) if pairs else 0.0
    return within * float((much**2).sum()) / len(flags) ** 2
