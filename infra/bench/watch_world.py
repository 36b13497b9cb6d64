"""A town that searches apidocs: ninety days of hours, with weekends, holidays and moods.

Queries and documents are real and so are their embeddings; who asks when is drawn. Two packages are
kept away from the town and from its encoder: they are the new topics and the new product lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from perennial.data.documents import indexed_texts
from perennial.data.languages import language_of
from perennial.data.sources.apidocs import read_apidocs
from perennial.model.encoder import load_encoder
from perennial.params.whole import Params
from perennial.quality.drift.hourly import Hourly, counted
from perennial.quality.drift.seasons import DAY
from perennial.quality.drift.wording import Words, script_of
from perennial.verbs.bootstrap import first_encoder

BEFORE = 28 * DAY  # hours that the first look knows
FIRST = 490_992  # Monday, 2026-01-05T00:00Z, in hours since 1970
NEW = ("sklearn", "matplotlib")
_SUCCESS, _AGAIN, _EMPTY, _ANY = (0.62, 0.55), (0.12, 0.15), (0.004, 0.006), (0.78, 0.74)
_BUSIEST = 350  # sessions an hour
_TITLES = 300  # of each package, asked like queries
_MOODS = 400.0  # Dirichlet: how little a day's mix of topics differs from another's


@dataclass(frozen=True)
class Library:
    """(t,) distinct texts, the last one empty, with (t, d) vectors; rows by package; documents."""

    words: Words
    scripts: np.ndarray
    languages: np.ndarray
    vectors: np.ndarray
    queries: dict[str, np.ndarray]
    documents: dict[str, np.ndarray]  # (n, d) vectors

    @property
    def known(self) -> list[str]:
        """The packages that the town asks about."""
        return [name for name in sorted(self.queries) if name not in NEW]


@dataclass(frozen=True)
class Town:
    """(n,) sessions by the hour in which they begin, and what became of each."""

    hours: np.ndarray
    texts: np.ndarray
    slices: np.ndarray
    flags: dict[str, np.ndarray]
    span: int  # hours in all

    @cached_property
    def tallies(self) -> dict[str, Hourly]:
        """The counts of all hours by slice, and under an empty name of all."""
        found = {}
        for name in ("", *np.unique(self.slices.astype(str)).tolist()):
            here = np.ones(len(self.hours), dtype=bool) if not name else self.slices == name
            flags = {each: flag[here] for each, flag in self.flags.items()}
            found[name] = counted(self.hours[here], first=FIRST, count=self.span, flags=flags)
        return found


def library(params: Params, place: Path) -> Library:
    """The texts of apidocs through a first encoder that never saw the new packages."""
    catalogue, truth = read_apidocs(updated_at=datetime.fromisoformat(params.simulate.start))
    slice_of = catalogue.set_index("doc_id")["slice"]
    truth = truth.assign(slice=truth["doc_id"].map(slice_of)).drop_duplicates("query")
    if not place.exists():
        first_encoder(place, catalogue[~catalogue["slice"].isin(NEW)], params)
    encoder = load_encoder(place)
    # People ask for names as well, most of them seldom: any day brings words of its own.
    titled = catalogue.groupby("slice").head(_TITLES)
    texts = [*truth["query"], *titled["title"], ""]
    embedded = encoder.encode(indexed_texts(catalogue))
    slices = np.concatenate([truth["slice"], titled["slice"]]).astype(str)
    return Library(
        words=Words(texts),
        scripts=np.array([script_of(text) for text in texts], dtype=object),
        languages=np.array([language_of(text) for text in texts], dtype=object),
        vectors=encoder.encode(texts),
        queries={name: np.flatnonzero(slices == name) for name in np.unique(slices)},
        documents={
            name: embedded[(catalogue["slice"] == name).to_numpy()]
            for name in catalogue["slice"].unique()
        },
    )


def town(
    books: Library,
    *,
    days: int,
    seed: int,
    holidays: Sequence[int] = (),
    topic: str | None = None,
    topic_from: int | None = None,
    topic_share: float = 0.2,
    topic_growth: float = 0.0,
) -> Town:
    """`days` after the four weeks before; on `holidays` (days from the first) people do as on a
    Sunday. From the hour `topic_from` on a share of the queries is of `topic`, and each day so much
    more."""
    generator = np.random.default_rng(seed)
    names, total = books.known, BEFORE // DAY + days
    away = {BEFORE // DAY + day for day in holidays}
    mixes = {
        False: generator.dirichlet(np.full(len(names), 6.0)),
        True: generator.dirichlet(np.full(len(names), 6.0)),
    }
    popular = {name: _popularity(len(rows), generator) for name, rows in books.queries.items()}
    parts: list[tuple[np.ndarray, ...]] = []
    for day in range(total):
        rests = day % 7 >= 5 or day in away
        mood = generator.lognormal(0.0, 0.08)
        mix = generator.dirichlet(_MOODS * mixes[rests])
        kept = 1 + generator.normal(0.0, 0.02)
        counts = generator.poisson(_BUSIEST * mood * (0.4 if rests else 1.0) * _by_hour(rests))
        hours = np.repeat(day * DAY + np.arange(DAY), counts)
        package = generator.choice(len(names), len(hours), p=mix)
        slices = np.array(names, dtype=object)[package]
        if topic is not None and topic_from is not None:
            share = topic_share + topic_growth * np.maximum(hours - topic_from, 0) / DAY
            slices[(hours >= topic_from) & (generator.random(len(hours)) < share)] = topic
        texts = np.empty(len(hours), dtype=np.int64)
        for name in np.unique(slices):
            here = slices == name
            texts[here] = generator.choice(books.queries[name], here.sum(), p=popular[name])
        chance = generator.random((4, len(hours)))
        flags = (
            chance[0] < kept * _SUCCESS[rests],
            chance[1] < _AGAIN[rests],
            chance[2] < _EMPTY[rests],
            (chance[0] < kept * _SUCCESS[rests]) | (chance[3] < _ANY[rests] - _SUCCESS[rests]),
        )
        parts.append((hours, texts, slices, *flags))
    hours, texts, slices, success, again, empty, noticed = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    flags = {"click success": success, "reformulation": again, "zero results": empty}
    flags |= {"events": noticed, "blank queries": np.zeros(len(hours), dtype=bool)}
    flags["impressions"] = np.ones(len(hours), dtype=bool)
    return Town(FIRST + hours, texts, slices, flags, total * DAY)


def _by_hour(rests: bool) -> np.ndarray:
    """(24,) of the busiest hour: people rise late at weekends and search into the night."""
    peak = 16 if rests else 13
    return np.asarray(0.1 + 0.9 * np.exp(-(((np.arange(DAY) - peak) / 4.5) ** 2)))


def _popularity(count: int, generator: np.random.Generator) -> np.ndarray:
    weights = 1 / (1 + generator.permutation(count)) ** 0.6
    return np.asarray(weights / weights.sum())
