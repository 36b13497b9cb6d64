"""Looks at a town: what the flow `watch` would say hour by hour, and what is planted in it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from infra.bench.watch_world import BEFORE, FIRST, Library, Town
from perennial.params.watch import Watch
from perennial.quality.decision import Decision
from perennial.quality.drift.hourly import Hourly
from perennial.quality.drift.queries import Asked
from perennial.quality.drift.seasons import WEEK
from perennial.quality.drift.verdict import effects, judged, verdict
from perennial.verbs.watching.signals import Kept, Shelf, Traffic, signals_of

Broken = Literal["no events", "no requests", "no words"]
_NONE = np.empty((0, 1))


@dataclass(frozen=True)
class Said:
    """A look's decision, and the effects that a retrain would answer."""

    decision: Decision
    effects: Mapping[str, float]


def kept_of(books: Library, people: Town, *, seed: int) -> Kept:
    """What the champion keeps: queries of the weeks before, documents of the known packages."""
    generator = np.random.default_rng(seed)
    early = np.flatnonzero(people.hours < FIRST + BEFORE)
    texts = people.texts[generator.choice(early, 500, replace=False)]  # as often as they are asked
    documents = np.concatenate([books.documents[name] for name in books.known])
    kept = documents[generator.choice(len(documents), 1000, replace=False)]
    return Kept(texts, texts, kept)


def look_at(
    books: Library,
    people: Town,
    kept: Kept,
    section: Watch,
    *,
    end: int,
    product: str | None = None,
    quiet: Mapping[str, float] | None = None,
) -> Said:
    """The look after the hour `end` (from the town's first). With a `product` line its documents
    have come into the catalogue, and not yet into the index."""
    traffic = _traffic(books, people, section, end=FIRST + end)
    shelf = _shelf(books, section, end=end, product=product)
    found = judged(
        signals_of(traffic, kept, shelf, section),
        alpha=section.alpha,
        slices_share=section.slices_share,
    )
    said = verdict(found, waiting=shelf.waiting, quiet=quiet or {})
    return Said(said, effects(found, growth=section.growth))


def broken(people: Town, how: Broken, *, since: int) -> Town:
    """The same town with a log that breaks in the hour `since`."""
    after = people.hours >= FIRST + since
    if how == "no requests":
        kept = {name: flag[~after] for name, flag in people.flags.items()}
        return Town(people.hours[~after], people.texts[~after], people.slices[~after], kept,
                    people.span)  # fmt: skip
    if how == "no events":
        gone = {name: people.flags[name] & ~after for name in ("events", "click success")}
        return replace(people, flags=people.flags | gone)
    blank = people.flags["blank queries"] | after
    texts = np.where(after, -1, people.texts)
    return replace(people, texts=texts, flags=people.flags | {"blank queries": blank})


def _traffic(books: Library, people: Town, section: Watch, *, end: int) -> Traffic:
    first = max(FIRST, end - WEEK * section.weeks - max(section.spans))
    rows = slice(*np.searchsorted(people.hours, [first, end]))
    texts = people.texts[rows] % len(books.vectors)  # -1 is the empty text, the last one
    tallies = {
        name: Hourly(
            counts.hours[first - FIRST : end - FIRST],
            counts.trials[first - FIRST : end - FIRST],
            {name: hits[first - FIRST : end - FIRST] for name, hits in counts.hits.items()},
        )
        for name, counts in people.tallies.items()
    }
    every = tallies.pop("")
    most = sorted(tallies, key=lambda name: -int(tallies[name].trials.sum()))[: section.slices]
    return Traffic(
        end=end,
        asked=Asked(
            people.hours[rows],
            texts,
            people.slices[rows],
            books.words,
            books.scripts,
            lambda chosen: books.languages[chosen],
            lambda chosen: books.vectors[chosen],
            np.ones(rows.stop - rows.start, dtype=bool),
        ),
        requests=every,
        firsts=every,
        sliced={name: tallies[name] for name in most},
    )


def _shelf(books: Library, section: Watch, *, end: int, product: str | None) -> Shelf:
    """A few changed documents wait at any time; a product line comes at once."""
    generator = np.random.default_rng([section.seed, end])
    documents = np.concatenate([books.documents[name] for name in books.known])
    rows = generator.choice(len(documents), generator.poisson(25), replace=False)
    arrived = documents[rows]
    if product is not None:
        line = books.documents[product][:300]
        documents, arrived = np.concatenate([documents, line]), np.concatenate([arrived, line])
    return Shelf(
        documents=len(documents),
        waiting=len(arrived),
        oldest_hours=float(generator.uniform(0, 1)),
        sample=documents[generator.choice(len(documents), section.documents, replace=False)],
        arrived=arrived[: section.documents],
    )
