"""Sessions with known rates, by the hundred thousand: what the canary's tests do with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special

from perennial.quality.guardrails import guardrail_bets
from perennial.quality.rollout import bets_for
from perennial.quality.sequential import Bet, Side, increments, mixed

Floats = npt.NDArray[np.float64]
SUCCESS = 0.6  # of sessions on stable
DESIGN_LOSS = 0.1


@dataclass(frozen=True)
class Guard:
    """A guardrail as a rollout sets it: the share of first answers that are so on both arms, and
    by how much the candidate may exceed it."""

    rate: float
    most: float


GUARDS = {"slow": Guard(0.03, 0.05), "failed": Guard(0.0, 0.01), "empty": Guard(0.01, 0.02)}


def arms_and_outcomes(
    rng: np.random.Generator, n: int, *, share: float, stable: float, candidate: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(n,) which sessions are on the candidate, and which succeed."""
    ours = rng.random(n) < share
    return ours, rng.random(n) < np.where(ours, candidate, stable)


def evidence_path(ours: npt.NDArray[np.bool_], outcome: npt.NDArray[np.bool_], steps: Floats,
                  bets: tuple[Bet, ...]) -> Floats:  # fmt: skip
    """(n,) log evidence after every single session."""
    kind = np.where(ours, np.where(outcome, 0, 1), np.where(outcome, 2, 3))
    return mixed(np.cumsum(steps[kind], axis=0).T, bets)


def loss_path(ours: npt.NDArray[np.bool_], outcome: npt.NDArray[np.bool_], *, share: float,
              margin: float = 0.03) -> Floats:  # fmt: skip
    """(n,) log evidence that the candidate loses anything."""
    bets = bets_for(margin=margin, design_loss=DESIGN_LOSS, success=SUCCESS).below
    return evidence_path(ours, outcome, _steps("below", share, SUCCESS, bets, 1.0, 0.0), bets)


def advance_path(ours: npt.NDArray[np.bool_], outcome: npt.NDArray[np.bool_], *, share: float,
                 margin: float) -> Floats:  # fmt: skip
    """(n,) log evidence that the candidate loses less than the margin."""
    bets = bets_for(margin=margin, design_loss=DESIGN_LOSS, success=SUCCESS).above
    steps = _steps("above", share, SUCCESS, bets, 1 - margin, 0.0)
    return evidence_path(ours, outcome, steps, bets)


def guard_path(ours: npt.NDArray[np.bool_], outcome: npt.NDArray[np.bool_], *, share: float,
               most: float) -> Floats:  # fmt: skip
    """(n,) log evidence that the candidate has more bad first answers than allowed."""
    usual, bets = guardrail_bets(most)
    return evidence_path(ours, outcome, _steps("above", share, usual, bets, 1.0, most), bets)


def mismatch_path(ours: npt.NDArray[np.bool_], *, share: float, weight: float = 100.0) -> Floats:
    """(n,) log evidence that the arms do not get their shares; the twin of log_mismatch."""
    candidate = np.cumsum(ours)
    stable = np.arange(1, len(ours) + 1) - candidate
    alternative = special.betaln(weight * share + candidate, weight * (1 - share) + stable)
    alternative -= special.betaln(weight * share, weight * (1 - share))
    promised = candidate * np.log(share) + stable * np.log1p(-share)
    return np.asarray(alternative - promised)


def peeking_path(ours: npt.NDArray[np.bool_], outcome: npt.NDArray[np.bool_]) -> Floats:
    """(n,) z of the pooled two-proportion test after every session: who looks at it is fooled."""
    n = np.arange(1, len(ours) + 1)
    ours_n, ours_x, x = np.cumsum(ours), np.cumsum(ours & outcome), np.cumsum(outcome)
    stable_n, stable_x = n - ours_n, x - ours_x
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = x / n
        spread = np.sqrt(pooled * (1 - pooled) * (1 / ours_n + 1 / stable_n))
        z = (ours_x / ours_n - stable_x / stable_n) / spread
    return np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)


def fixed_sessions(*, share: float, stable: float, candidate: float, alpha: float,
                   power: float) -> int:  # fmt: skip
    """Sessions of the one-sided z-test looked at once (Fleiss, Levin and Paik 2003, 4.2)."""
    pooled = share * candidate + (1 - share) * stable
    null = np.sqrt(pooled * (1 - pooled) * (1 / share + 1 / (1 - share)))
    spread = candidate * (1 - candidate) / share + stable * (1 - stable) / (1 - share)
    reach = special.ndtri(1 - alpha) * null + special.ndtri(power) * np.sqrt(spread)
    return int(np.ceil((reach / (stable - candidate)) ** 2))


def first_at(path: Floats, level: float) -> float:
    """The session at which the path first reaches the level; infinite where it never does."""
    at = int(np.argmax(path >= level))
    return at + 1.0 if path[at] >= level else np.inf


@cache
def _steps(
    side: Side, share: float, expected: float, bets: tuple[Bet, ...], ratio: float, shift: float
) -> Floats:
    return increments(
        side=side, share=share, expected=expected, bets=bets, ratio=ratio, shift=shift
    )


def levels(alpha: float, split: Mapping[str, float]) -> dict[str, float]:
    """{test: log evidence at which it alarms}."""
    return {name: -float(np.log(alpha * part)) for name, part in split.items()}
