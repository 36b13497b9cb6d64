"""What the queries of a span of hours say: are they still of the kinds that were asked before?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perennial.quality.drift.clouds import compare
from perennial.quality.drift.embeddings import cloud_signals
from perennial.quality.drift.hourly import counted, share_signals
from perennial.quality.drift.matched import matched
from perennial.quality.drift.novelty import novel
from perennial.quality.drift.seasons import DAY, EXPLAINED, GAP, WEEK, is_learned, readings
from perennial.quality.drift.signal import Signal
from perennial.quality.drift.wording import REFERENCE, Words

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
_WIDTH = 2  # a sample is too small for each hour of the week to stand alone
_RATIO = 2.0  # past queries beside one of now
_WORDED = 20_000  # past queries whose words are looked at


@dataclass(frozen=True)
class Asked:
    """(n,) queries, one of a session, by their hours and slices; `texts` number the t distinct
    ones, of which `words` knows the words and `vectors` gives the unit vectors. Those that are
    common are asked by enough people to be in a snapshot."""

    hours: Ints
    texts: Ints
    slices: npt.NDArray[np.object_]
    words: Words
    scripts: npt.NDArray[np.object_]  # (t,)
    languages: Callable[[Ints], npt.NDArray[np.object_]]
    vectors: Callable[[Ints], Floats]
    is_common: Flags  # (n,)


def query_signals(
    asked: Asked,
    *,
    end: int,
    span: int,
    weeks: int,
    most: int,
    pool: int,
    novel_share: float,
    reference: Ints,
    slices: Sequence[str],
    floor: float,
    cloud_floor: float,
    min_queries: int,
    least: float,
    seed: int,
) -> list[Signal]:
    """The `span` hours before hour `end` beside the `weeks` before, less a day; none where too few.

    `reference` are numbers of texts that were kept with the champion: their words are known.
    """
    first = end - span - weeks * WEEK
    now = np.flatnonzero((asked.hours >= end - span) & (asked.hours < end))
    past = np.flatnonzero((asked.hours >= first) & (asked.hours < end - span - GAP))
    if min(len(now), len(past)) < min_queries or not is_learned(asked.hours[past]):
        return []
    generator = np.random.default_rng([seed, end, span])
    some = np.sort(generator.permutation(now)[:most])
    found: list[Signal] = []
    for rows, marked in (
        _novel(asked, some, past, pool, novel_share, generator),
        _worded(asked, some, past, reference, generator),
    ):
        for slice_ in (None, *slices):
            kept = slice(None) if slice_ is None else asked.slices[rows] == slice_
            counts = counted(
                asked.hours[rows][kept],
                first=first,
                count=end - first,
                flags={each: flag[kept] for each, flag in marked.items()},
            )
            found += share_signals(
                counts,
                span=span,
                floor=floor,
                min_trials=min_queries,
                width=_WIDTH,
                slice=slice_,
            )
    return found + _clouds(asked, now, past, end, span, most, cloud_floor, min_queries, least, seed)


def _novel(
    asked: Asked, now: Ints, past: Ints, pool: int, share: float, generator: np.random.Generator
) -> tuple[Ints, dict[str, Flags]]:
    past = np.sort(generator.permutation(past)[:pool])
    rows = np.concatenate([now, past])
    distinct, texts = np.unique(asked.texts[rows], return_inverse=True)
    is_past = np.arange(len(rows)) >= len(now)
    flags = novel(asked.vectors(distinct), texts, asked.hours[rows] // DAY, is_past, share=share)
    return rows, {"novel queries": flags}


def _worded(
    asked: Asked, now: Ints, past: Ints, reference: Ints, generator: np.random.Generator
) -> tuple[Ints, dict[str, Flags]]:
    past = np.sort(generator.permutation(past)[:_WORDED])
    rows = np.concatenate([now, past])
    texts, days = asked.texts[rows], asked.hours[rows] // DAY
    unseen = asked.words.unseen(
        np.concatenate([texts, reference]),
        np.concatenate([days, np.full(len(reference), REFERENCE)]),
    )[: len(rows)]
    lengths = asked.words.lengths[texts]
    return rows, {
        "unseen words": unseen,
        "long queries": lengths > np.median(lengths[len(now) :]),
        "other scripts": _unusual(asked.scripts[texts], len(now)),
        "other languages": _unusual(asked.languages(texts), len(now)),
    }


def _unusual(kinds: npt.NDArray[np.object_], now: int) -> Flags:
    """Which are of another kind than most are after the first `now`."""
    found, times = np.unique(kinds[now:], return_counts=True)
    return np.asarray(kinds != found[times.argmax()])


def _clouds(
    asked: Asked,
    now: Ints,
    past: Ints,
    end: int,
    span: int,
    most: int,
    floor: float,
    min_queries: int,
    least: float,
    seed: int,
) -> list[Signal]:
    """Of all readings of the season the one that explains the span best; none where the past knows
    too little of the calendar's own."""
    best: list[Signal] = []
    for flipped in readings(np.arange(end - span, end)):
        pair = matched(asked.hours, now, past, flipped=flipped, most=most, ratio=_RATIO, seed=seed)
        if min(len(pair.now), len(pair.past)) < min_queries:
            if not flipped:
                return []
            continue
        ours, theirs = (asked.vectors(asked.texts[rows]) for rows in (pair.now, pair.past))
        clouds = compare(ours, theirs, least=least, seed=seed)
        found = cloud_signals(clouds, about="queries", hours=span, floor=floor, beside="past weeks")
        if not best or _smallest(found) > _smallest(best):
            best = found
        if _smallest(best) > EXPLAINED:
            break
    return best


def _smallest(signals: Sequence[Signal]) -> float:
    return min(each.p for each in signals if each.p is not None)
