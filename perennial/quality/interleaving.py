"""Team-draft interleaving: one list out of two rankings, and each hit knows whose it is."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Arm = Literal["stable", "candidate"]


def team_draft(
    stable: Sequence[str], candidate: Sequence[str], *, k: int, seed: int
) -> list[tuple[str, Arm]]:
    """The k first (doc_id, team) of both rankings, as two captains would pick them.

    Radlinski, Kurup and Joachims 2008, "How Does Clickthrough Data Reflect Retrieval Quality?",
    algorithm 2: in each round a coin says who picks first, and each picks its best document that
    is not taken yet. Where one ranking has no more, the other goes on alone.
    """
    rankings: dict[Arm, Sequence[str]] = {"stable": stable, "candidate": candidate}
    # Each round has a coin; a round takes at least one document.
    coins = np.random.default_rng(seed).random(max(k, 0)) < 0.5
    at: dict[Arm, int] = {"stable": 0, "candidate": 0}
    picked: dict[str, Arm] = {}
    for candidate_first in coins:
        order: tuple[Arm, Arm] = (
            ("candidate", "stable") if candidate_first else ("stable", "candidate")
        )
        for team in order:
            ranking = rankings[team]
            while at[team] < len(ranking) and ranking[at[team]] in picked:
                at[team] += 1
            if at[team] < len(ranking) and len(picked) < k:
                picked[ranking[at[team]]] = team
    return list(picked.items())
