"""What both arms of a rollout saw, as counts of sessions: all that its tests look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from perennial.quality.sequential import Cells


@dataclass(frozen=True)
class Arrived:
    """Sessions of one arm: all that began, and those old enough to have succeeded or not.

    `slow`, `failed` and `empty` count first answers: later ones depend on what the first one was.
    """

    began: int = 0
    settled: int = 0
    successes: int = 0
    slow: int = 0
    failed: int = 0
    empty: int = 0


@dataclass(frozen=True)
class Stratum:
    """One day of one step: `share` of the sessions were drawn for the candidate.

    In the stage `interleave` those saw both releases in one list, and won, lost or tied.
    """

    step: int
    stage: str
    share: float
    day: str
    stable: Arrived
    candidate: Arrived
    wins: int = 0
    losses: int = 0
    ties: int = 0


def successes(strata: Sequence[Stratum]) -> list[Cells]:
    """Settled sessions and successes of the strata in which each session has one arm."""
    return [
        Cells(
            each.share,
            each.candidate.settled,
            each.candidate.successes,
            each.stable.settled,
            each.stable.successes,
        )
        for each in strata
        if each.stage == "canary"
    ]


def troubles(strata: Sequence[Stratum], name: str) -> list[Cells]:
    """First answers, and those that were `slow`, `failed` or `empty`, of the same strata."""
    return [
        Cells(
            each.share,
            each.candidate.began,
            int(getattr(each.candidate, name)),
            each.stable.began,
            int(getattr(each.stable, name)),
        )
        for each in strata
        # In one list both are slow together, and empty together; a failure is the candidate's.
        if each.stage == "canary" or name == "failed"
    ]


def drawn(strata: Sequence[Stratum]) -> list[tuple[float, int, int]]:
    """(promised share, candidate, stable) of every step: all days of a step have one promise."""
    found: dict[tuple[int, float], tuple[int, int]] = {}
    for each in strata:
        if 0 < each.share < 1:
            ours, theirs = found.get((each.step, each.share), (0, 0))
            counts = ours + each.candidate.began, theirs + each.stable.began
            found[each.step, each.share] = counts
    return [(share, *counts) for (_, share), counts in found.items()]
