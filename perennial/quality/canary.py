"""The thin canary: a fixed number of sessions on each arm, one interval on click success.

The same people visit both arms, so that the interval is one of paired differences, candidate -
stable, session by session (paired bootstrap, see quality/paired.py):

    advance       its lower bound is at or above -max_loss: a loss that counts is excluded
    rollback      its upper bound is below -max_loss: a loss that counts is there
    inconclusive  anything else: too few sessions to say

An equal candidate is rolled back, and one that loses max_loss advances, in at most (1 - confidence)
/ 2 of all canaries. One look at a fixed sample: valid only because nobody looks before.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from perennial.quality.decision import Decision, Evidence, Outcome
from perennial.quality.paired import Difference, Interval, paired_difference
from perennial.quality.shares import wilson

ARMS = ("stable", "candidate")


@dataclass(frozen=True)
class Canary:
    """Click success of both arms, and candidate - stable."""

    sessions: Mapping[str, int]
    successes: Mapping[str, int]
    shares: Mapping[str, Interval]
    difference: Difference
    max_loss: float
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compare_arms(
    stable: npt.ArrayLike,
    candidate: npt.ArrayLike,
    *,
    max_loss: float,
    samples: int,
    confidence: float,
    seed: int,
) -> Canary:
    """(n,) bool each, did session i of that arm succeed, to shares and their paired difference."""
    successes = {"stable": np.asarray(stable, bool), "candidate": np.asarray(candidate, bool)}
    counts = {arm: int(successes[arm].sum()) for arm in ARMS}
    sessions = {arm: len(successes[arm]) for arm in ARMS}
    return Canary(
        sessions=sessions,
        successes=counts,
        shares={arm: wilson(counts[arm], sessions[arm], confidence=confidence) for arm in ARMS},
        difference=paired_difference(
            successes["candidate"],
            successes["stable"],
            samples=samples,
            confidence=confidence,
            seed=seed,
        ),
        max_loss=max_loss,
        confidence=confidence,
    )


def judge_canary(canary: Canary) -> Decision:
    """advance, rollback or inconclusive, by the rule above."""
    found, max_loss = canary.difference, canary.max_loss
    holds: bool | None = None
    outcome: Outcome = "inconclusive"
    if found.low is None or found.high is None:
        reason = (
            f"{canary.sessions['candidate']} sessions on the candidate and "
            f"{canary.sessions['stable']} on stable cannot be compared; raise canary.sessions."
        )
    else:
        if found.low >= -max_loss:
            holds, outcome, verdict = True, "advance", f"a loss above {max_loss:g} is excluded"
        elif found.high < -max_loss:
            holds, outcome, verdict = False, "rollback", f"it loses more than {max_loss:g}"
        else:
            verdict = (
                f"a loss above {max_loss:g} is neither excluded nor certain; raise canary.sessions"
            )
        reason = (
            f"Click success {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}, "
            f"{found.n} sessions on each): {verdict}."
        )
    evidence = Evidence(
        "click success", found.value, found.low, found.high, found.n, -max_loss, holds
    )
    return Decision(outcome, (reason,), (evidence,))
