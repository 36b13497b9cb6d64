"""Worlds with known answers, and the simulated people who search them."""

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from perennial.data.tables import read_table, write_table
from perennial.params.whole import Params

CHANNEL = "production"


@dataclass(frozen=True)
class World:
    """A source with known answers; `queries` of them are asked (None: all), in so many sessions
    per query and week, each of one to three searches that show so many results."""

    name: str
    kind: str
    path: Path | None
    queries: int | None
    sessions_per_query: float
    results: int


def settle_in(world: World, source: Path, params: Params) -> None:
    """Import the world into the folder `source`, and leave out what nobody asks."""
    from perennial.verbs.source import import_source, read_truth

    import_source(
        world.kind,
        path=world.path,
        to=source,
        updated_at=datetime.fromisoformat(params.simulate.start),
        columns={},
        held_out_share=params.split.held_out_share,
        salt=params.split.salt,
    )
    truth = read_truth(source)
    asked = np.array(sorted(truth["query"].unique()), dtype=object)
    if world.queries is None or world.queries >= len(asked):
        return
    asked = np.random.default_rng(params.simulate.seed).choice(asked, world.queries, replace=False)
    labels = read_table(source / "judgements.parquet")
    truth[truth["query"].isin(asked)].to_parquet(source / "truth.parquet", index=False)
    kept = labels[labels["query"].isin(asked)]
    write_table(kept, source / "judgements.parquet", table="judgements")


def people_search(world: World, source: Path, store: Any, params: Params, crowd: str) -> None:
    """A week of sessions on BM25 (`lexical`) or on what the store serves (`champion`)."""
    from perennial.serving.searcher import Searcher
    from perennial.simulation.searches import LEXICAL, lexical_search, release_search
    from perennial.verbs.simulate import simulate
    from perennial.verbs.source import read_catalogue, read_truth

    queries = read_truth(source)["query"].nunique()
    sessions = math.ceil(world.sessions_per_query * queries)
    section = params.simulate.model_copy(update={"sessions": sessions, "results": world.results})
    if crowd == "lexical":
        search, release_id = lexical_search(read_catalogue(source)), LEXICAL
    else:
        cache = source.with_name("cache")
        with Searcher.open(store, CHANNEL, cache, math.inf, None) as searcher:
            search, release_id = release_search(searcher.release), searcher.release.release_id
    simulate(source, search, section=section, channel=CHANNEL, release_id=release_id)
