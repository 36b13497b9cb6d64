"""The thin canary: after a fixed number of sessions on each arm, one interval on click success.

    rollback      candidate - stable has its lower bound below -max_loss, and points down
    advance       the lower bound is not below -max_loss, or the candidate does not point down
    inconclusive  an arm had no sessions

One look at a fixed sample: valid only because nobody looks before. Part of the rule reads the point
estimate: a loss within the interval's reach is no reason to refuse a candidate that points up.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from perennial.quality.decision import Decision, Evidence, Outcome
from perennial.quality.paired import Interval
from perennial.quality.shares import difference_of_shares, wilson

ARMS = ("stable", "candidate")


@dataclass(frozen=True)
class Canary:
    """Click success of both arms, and candidate - stable."""

    sessions: Mapping[str, int]
    successes: Mapping[str, int]
    shares: Mapping[str, Interval]
    difference: Interval
    max_loss: float
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compare_arms(
    sessions: Mapping[str, int],
    successes: Mapping[str, int],
    *,
    max_loss: float,
    confidence: float,
) -> Canary:
    """{arm: sessions} and {arm: those with a successful click} to shares and their difference."""
    difference = difference_of_shares(
        successes["candidate"],
        sessions["candidate"],
        successes["stable"],
        sessions["stable"],
        confidence=confidence,
    )
    shares = {arm: wilson(successes[arm], sessions[arm], confidence=confidence) for arm in ARMS}
    return Canary(sessions, successes, shares, difference, max_loss, confidence)


def judge_canary(canary: Canary) -> Decision:
    """advance, rollback or inconclusive, by the rule above."""
    found, max_loss = canary.difference, canary.max_loss
    holds: bool | None = None
    outcome: Outcome = "inconclusive"
    if found.value is None or found.low is None:
        reason = (
            f"{canary.sessions['candidate']} sessions on the candidate and "
            f"{canary.sessions['stable']} on stable cannot be compared; raise canary.sessions."
        )
    else:
        holds = not (found.low < -max_loss and found.value < 0)
        outcome = "advance" if holds else "rollback"
        verdict = "no loss that counts" if holds else f"a loss above {max_loss:.3f} is not excluded"
        reason = (
            f"Click success {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}, "
            f"{found.n} sessions): {verdict}."
        )
    evidence = Evidence(
        "click success", found.value, found.low, found.high, found.n, -max_loss, holds
    )
    return Decision(outcome, (reason,), (evidence,))
