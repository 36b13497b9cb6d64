"""Every signal of one look, by the numbers of params.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from perennial.errors import BadInput
from perennial.params.watch import Watch
from perennial.quality.drift.champion import champion_signals
from perennial.quality.drift.documents import (
    arrival_signals,
    document_signals,
    freshness_signals,
)
from perennial.quality.drift.embeddings import TESTS
from perennial.quality.drift.hourly import SHARES, Hourly, share_signals
from perennial.quality.drift.operation import MOST, operation_signals
from perennial.quality.drift.queries import Asked, query_signals
from perennial.quality.drift.signal import About, Signal

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
_PERMUTATIONS = 2_000_000  # minutes of them


@dataclass(frozen=True)
class Traffic:
    """The log up to the hour `end`: queries, and counts of requests and of first ones by slice."""

    end: int
    asked: Asked
    requests: Hourly
    firsts: Hourly
    sliced: Mapping[str, Hourly]


@dataclass(frozen=True)
class Kept:
    """What the champion was made of: numbers of texts that were asked, the same as often as they
    were, and (r, d) documents."""

    texts: Ints
    requests: Ints
    documents: Floats


@dataclass(frozen=True)
class Shelf:
    """The catalogue beside the index: a sample of it and of what the index lacks, as vectors."""

    documents: int
    waiting: int
    oldest_hours: float
    sample: Floats
    arrived: Floats
    measured: Sequence[Signal] = field(default=())  # of the index and the sentinels


def signals_of(traffic: Traffic | None, kept: Kept, shelf: Shelf, section: Watch) -> list[Signal]:
    """All of them, those of the shortest span first; without traffic those of the documents.

    Raises BadInput where chance cannot be told as exactly as alpha asks for.
    """
    least = least_p(section)
    asked = [] if traffic is None else _of_traffic(traffic, kept, section, least=least)
    return [*asked, *_of_documents(kept, shelf, section, least=least)]


def least_p(section: Watch) -> float:
    """What the level of a signal that is no slice's never falls below: no permutation p needs to be
    smaller. Raises BadInput where that takes too many permutations."""
    signals = len(section.spans) * (len(SHARES) + len(TESTS)) + len(TESTS) + 1
    signals += len(TESTS) + 1  # of a week beside the champion
    signals += len(_spans_of_operation(section)) * MOST
    least = section.alpha * (1 - section.slices_share) / signals
    if least * _PERMUTATIONS < 1:
        raise BadInput(
            f"watch.alpha {section.alpha:g} over {signals} signals needs {1 / least:,.0f} "
            f"permutations, and {_PERMUTATIONS:,} is the most; raise watch.alpha, or look at fewer "
            "watch.spans"
        )
    return least


def _spans_of_operation(section: Watch) -> list[int]:
    return sorted({1, section.spans[0]})


def _of_traffic(traffic: Traffic, kept: Kept, section: Watch, *, least: float) -> list[Signal]:
    found: list[Signal] = []
    for span in section.spans:
        found += query_signals(
            traffic.asked,
            end=traffic.end,
            span=span,
            weeks=section.weeks,
            most=section.queries,
            pool=section.pool,
            novel_share=section.novel_share,
            reference=kept.texts,
            slices=sorted(traffic.sliced),
            floor=section.min_shift,
            cloud_floor=section.min_separation,
            min_queries=section.min_queries,
            least=least,
            seed=section.seed,
        )
        for name, counts in [(None, traffic.firsts), *sorted(traffic.sliced.items())]:
            found += share_signals(
                counts,
                span=span,
                floor=section.min_shift,
                min_trials=section.min_queries,
                slice=name,
            )
    found += champion_signals(
        traffic.asked,
        kept.requests,
        sessions=traffic.firsts,
        end=traffic.end,
        most=section.queries,
        novel_share=section.novel_share,
        floor=section.min_shift,
        cloud_floor=section.min_separation,
        min_queries=section.min_queries,
        least=least,
        seed=section.seed,
    )
    for span in _spans_of_operation(section):
        found += operation_signals(
            traffic.firsts,
            traffic.requests,
            span=span,
            max_gone=section.max_gone,
            max_lost=section.max_lost,
            max_come=section.max_come,
        )
    return found


def _of_documents(kept: Kept, shelf: Shelf, section: Watch, *, least: float) -> list[Signal]:
    # Once the index holds what came, only an encoder that learned of it can mend the rest.
    waits = shelf.waiting > section.max_waiting_share * shelf.documents
    about: About = "documents" if waits else "kinds"
    return [
        *document_signals(
            shelf.sample,
            kept.documents,
            about=about,
            floor=section.min_separation,
            min_documents=section.min_documents,
            least=least,
            seed=section.seed,
        ),
        *arrival_signals(
            shelf.arrived,
            kept.documents,
            about=about,
            novel_share=section.novel_share,
            floor=section.min_shift,
            min_documents=section.min_documents,
        ),
        *freshness_signals(
            waiting=shelf.waiting,
            documents=shelf.documents,
            oldest_hours=shelf.oldest_hours,
            max_share=section.max_waiting_share,
            max_hours=section.max_waiting_hours,
            page_hours=section.page_waiting_hours,
        ),
        *shelf.measured,
    ]
