"""The thin canary: after a fixed number of sessions on each arm, one interval on click success.

    rolled back   candidate - stable has its lower bound below -max_loss, and points down
    advance       the lower bound is not below -max_loss, or the candidate does not point down
    inconclusive  an arm had no sessions

One look at a fixed sample: valid only because nobody looks before. Part of the rule reads the point
estimate: a loss within the interval's reach is no reason to refuse a candidate that points up.
"""

from perennial.quality.decision import Decision, Evidence, Outcome
from perennial.quality.shares import difference_of_shares


def judge_canary(
    *,
    candidate_successes: int,
    candidate_sessions: int,
    stable_successes: int,
    stable_sessions: int,
    max_loss: float,
    confidence: float,
) -> Decision:
    """Sessions with a successful click, of all sessions, per arm; to advance, rollback, or neither."""
    found = difference_of_shares(
        candidate_successes,
        candidate_sessions,
        stable_successes,
        stable_sessions,
        confidence=confidence,
    )
    outcome: Outcome
    if found.value is None or found.low is None or found.high is None:
        holds, outcome = None, "inconclusive"
        reason = (
            f"{candidate_sessions} sessions on the candidate and {stable_sessions} on stable cannot "
            "be compared; raise canary.sessions."
        )
    else:
        holds = not (found.low < -max_loss and found.value < 0)
        outcome = "advance" if holds else "rollback"
        verdict = (
            f"a loss of more than {max_loss:.3f} is not excluded" if not holds
            else "no loss that counts"
        )  # fmt: skip
        reason = (
            f"Click success {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}, "
            f"{found.n} sessions): {verdict}."
        )
    evidence = Evidence(
        "click success", found.value, found.low, found.high, found.n, -max_loss, holds
    )
    return Decision(outcome, (reason,), (evidence,))
