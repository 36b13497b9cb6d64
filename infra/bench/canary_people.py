"""Simulated people who see one list or both in one: what a loss of 10 % costs to be found."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perennial.quality.interleaving import team_draft
from perennial.simulation.public import Habits, click

_DOCUMENTS = 10
_WANTED = 0
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rankings:
    """(queries, 10) documents of both; 0 is the wanted one, which the candidate lost at times."""

    stable: npt.NDArray[np.int64]
    candidate: npt.NDArray[np.int64]


def rankings(rng: np.random.Generator, *, queries: int, lost: float) -> Rankings:
    """Stable finds what is wanted at a rank that falls off geometrically; the candidate ranks its
    other documents in an order of its own, and finds nothing for a share `lost` of the queries."""
    rank = np.minimum(rng.geometric(0.35, queries) - 1, _DOCUMENTS - 1)
    rank[rng.random(queries) < 0.1] = -1
    theirs = np.where(rng.random(queries) < lost, -1, rank)
    return Rankings(_listed(rng, rank), _listed(rng, theirs))


def _listed(rng: np.random.Generator, rank: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    order = np.tile(np.arange(1, _DOCUMENTS + 1), (len(rank), 1))
    order = rng.permuted(order, axis=1)
    rows = np.flatnonzero(rank >= 0)
    order[rows, rank[rows]] = _WANTED
    return order


def alone(rng: np.random.Generator, shown: npt.NDArray[np.int64], habits: Habits) -> Bools:
    """(n,) which sessions with one list each clicked what they wanted, and stayed."""
    wanted = shown == _WANTED
    clicked = click(np.ones(shown.shape, dtype=bool), wanted, habits, rng)
    return np.asarray((clicked & wanted).any(axis=1))


def interleaved(
    rng: np.random.Generator, world: Rankings, asked: npt.NDArray[np.int64], habits: Habits
) -> npt.NDArray[np.int64]:
    """(n,) 1 where the candidate found what was wanted, -1 where it lost, 0 a tie."""
    shown = np.empty((len(asked), _DOCUMENTS), dtype=np.int64)
    teams = np.empty(shown.shape, dtype=np.int64)
    seeds = rng.integers(2**32, size=len(asked))
    stable = [[str(doc) for doc in row] for row in world.stable]
    candidate = [[str(doc) for doc in row] for row in world.candidate]
    for row, (query, seed) in enumerate(zip(asked, seeds, strict=True)):
        for place, (doc, team) in enumerate(
            team_draft(stable[query], candidate[query], k=_DOCUMENTS, seed=int(seed))
        ):
            shown[row, place], teams[row, place] = int(doc), 1 if team == "candidate" else -1
    wanted = shown == _WANTED
    stayed = click(np.ones(shown.shape, dtype=bool), wanted, habits, rng) & wanted
    return np.sign((stayed * teams).sum(axis=1))
