"""Explored logs of people whose wishes are known, and what is foretold of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from perennial.quality.counterfactual import Clicks, foretell_clicks
from perennial.simulation.users import position_based

RANKS, DOCUMENTS = 10, 14
LOOKS = np.arange(1, RANKS + 1) ** -0.6


@dataclass(frozen=True)
class World:
    """Of each query: its share of the traffic, and (queries, documents) relevance; what serves
    ranks the documents 0 to 9 of each query in this order."""

    traffic: np.ndarray
    relevance: np.ndarray

    def clicks(self, ranking: np.ndarray) -> float:
        """(queries, ranks) documents, -1 for none, to the clicks per page that they would have."""
        wanted = np.take_along_axis(self.relevance, np.maximum(ranking, 0), axis=1)
        return float(self.traffic @ (np.where(ranking < 0, 0.0, wanted) @ LOOKS))


def make_world(*, queries: int = 40, seed: int = 0) -> World:
    generator = np.random.default_rng(seed)
    traffic = generator.lognormal(sigma=0.7, size=queries)
    relevance = generator.beta(0.8, 3.0, size=(queries, DOCUMENTS))
    return World(traffic / traffic.sum(), relevance)


def base(queries: int) -> np.ndarray:
    return np.tile(np.arange(RANKS), (queries, 1))


def neighbours_swapped(queries: int) -> np.ndarray:
    """Within reach of exploration: ranks 1 and 2 change places, and 5 and 6."""
    return np.tile([1, 0, 2, 3, 5, 4, 6, 7, 8, 9], (queries, 1))


def shuffled(queries: int, *, seed: int = 0) -> np.ndarray:
    """The documents that everybody was shown, in any order."""
    return np.random.default_rng(seed).permuted(base(queries), axis=1)


def log(
    world: World, *, pages: int, explore: float, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """What foretell_clicks takes of a log: two pages of one query a session, now and then two
    neighbours swapped. `query` (pages,) and the documents are numbers."""
    session = np.arange(pages) // 2
    queries = generator.choice(len(world.traffic), size=pages // 2 + 1, p=world.traffic)
    query = queries[session]
    order, is_explored = base(pages), generator.random(pages) < explore
    rows = np.flatnonzero(is_explored)
    upper = generator.integers(0, RANKS - 1, len(rows))
    order[rows, upper] += 1
    order[rows, upper + 1] -= 1
    each = explore / (RANKS - 1)
    ends = np.isin(np.arange(RANKS), (0, RANKS - 1))
    propensity = np.where(order == np.arange(RANKS), 1 - each * np.where(ends, 1, 2), each)
    wanted = world.relevance[query[:, None], order]
    clicked = position_based(wanted, propensities=LOOKS, generator=generator)
    return {
        "query": query,
        "session": session,
        "is_explored": is_explored,
        "shown": order.astype(object),
        "propensity": propensity,
        "clicked": clicked,
    }


def a_log(
    world: World, *, pages: int = 4000, explore: float = 0.2, seed: Any = 5
) -> dict[str, np.ndarray]:
    """A log of that seed."""
    return log(world, pages=pages, explore=explore, generator=np.random.default_rng(seed))


LEAST = {"max_weight": 200.0, "min_effective": 100.0, "min_seen": 0.9}
HOW = {"samples": 200, "confidence": 0.95, "seed": 1}
KNOWN = {"looks": LOOKS, "look_errors": np.zeros(RANKS)}


def foretold(
    found: dict[str, np.ndarray], candidate: np.ndarray, **changes: Any
) -> tuple[Clicks, Clicks]:
    """By place and by position, of the base against a ranking of each query."""
    given = {key: value for key, value in found.items() if key != "query"}
    query = found["query"]
    sides = {"champion": base(len(query)), "candidate": candidate[query]}
    documents = {name: _objects(ranking) for name, ranking in sides.items()}
    return foretell_clicks(**(given | documents | KNOWN | LEAST | HOW | changes))


def _objects(ranking: np.ndarray) -> np.ndarray:
    table = ranking.astype(object)
    table[ranking < 0] = None
    return table
