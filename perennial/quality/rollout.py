"""The rule of a rollout: what the sessions so far say, however often they are looked at.

One alpha is shared by all tests, in the stated parts, so that the chance of any wrong alarm or
advance in a whole rollout is at most alpha. First the shares themselves are tested (a router that
is biased makes every comparison a lie), then the guardrails, then the loss:

    rollback      the shares are not the promised ones; or more slow, failed or empty first answers
                  than allowed are sure; or the upper bound of the ratio of success lies below
                  1 - max_loss
    advance       the lower bound of the ratio lies at or above 1 - margin
    inconclusive  neither yet

The ratio is success per session on the candidate over that on stable. Interleaved sessions have
the share of sessions won in its place, and (1 - margin) / 2 as the bound. A margin of 0.03 says: a
candidate that loses 3 % or more of the successful sessions is not let through.

Margins may shrink from step to step, since a wrong advance first happens at one step, by its test
alone. An alarm may come at any step: so `max_loss` is one for all of them, and above no margin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from perennial.quality.decision import Decision, Evidence, Outcome
from perennial.quality.guardrails import Finding, guardrail, mismatch
from perennial.quality.paired import Interval
from perennial.quality.sequential import Bet, Side, log_evidence
from perennial.quality.sequential_bounds import ratio_interval
from perennial.quality.traffic import Stratum, successes
from perennial.quality.wins import log_win_evidence, wins_interval

TESTS = ("ratio", "slow", "failed", "empty", "loss", "advance")
# Most of the evidence is bet on the effect that was planned for, some on a far larger one.
_NEAR, _FAR = 0.8, 0.2


@dataclass(frozen=True)
class Bets:
    """What is bet on: losses and gains so far from the null, in shares of the expected success."""

    above: tuple[Bet, ...]
    below: tuple[Bet, ...]


def bets_for(*, margin: float, design_loss: float, success: float) -> Bets:
    """The bets that make an equal candidate pass `margin`, and `design_loss` stop, soonest."""
    return Bets(
        above=(Bet(margin * success, _NEAR), Bet(4 * margin * success, _FAR)),
        below=(Bet(design_loss * success, _NEAR), Bet(4 * design_loss * success, _FAR)),
    )


def judge_traffic(
    strata: Sequence[Stratum],
    *,
    margin: float,
    max_loss: float,
    design_loss: float,
    success: float,
    alpha: float,
    split: Mapping[str, float],
    max_slow: float,
    max_failed: float,
    max_empty: float,
) -> Decision:
    """advance, rollback or inconclusive, by the rule above, with every test as evidence.

    `success` is what was expected per session on stable before the rollout began; `max_slow` and
    so on are shares of first answers by which the candidate may exceed stable.
    """
    level = {name: alpha * split[name] for name in TESTS}
    ratio = mismatch(strata, level["ratio"])
    if ratio.evidence.holds is False:
        # All other tests rest on the shares: where those are not kept they say nothing.
        return Decision("rollback", (ratio.reason,), (ratio.evidence,))
    limits = {"slow": max_slow, "failed": max_failed, "empty": max_empty}
    guards = [
        ratio,
        *(guardrail(strata, name, most, level[name]) for name, most in limits.items()),
    ]
    bets = bets_for(margin=margin, design_loss=design_loss, success=success)
    levels = {"advance": level["advance"], "loss": level["loss"]}
    compared = []
    if any(each.stage == "interleave" for each in strata):
        compared.append(_won(strata, margin, max_loss, design_loss, levels))
    if any(each.stage == "canary" for each in strata) or not compared:
        compared.insert(0, _success(strata, margin, max_loss, bets, success, levels))
    checks = [*guards, *compared]
    alarms = [check for check in checks if check.evidence.holds is False]
    evidence = tuple(check.evidence for check in checks)
    if alarms:
        return Decision("rollback", tuple(check.reason for check in alarms), evidence)
    # Interleaving decides where it is the method of the newest step, sessions elsewhere.
    newest = max(strata, key=lambda each: each.step, default=None)
    decisive = compared[-1 if newest is not None and newest.stage == "interleave" else 0]
    outcome: Outcome = "advance" if decisive.evidence.holds else "inconclusive"
    return Decision(outcome, tuple(check.reason for check in compared), evidence)


def _success(
    strata: Sequence[Stratum],
    margin: float,
    max_loss: float,
    bets: Bets,
    success: float,
    alpha: Mapping[str, float],
) -> Finding:
    cells = successes(strata)

    def sure(side: Side, ratio: float, test: str) -> bool:
        which = bets.above if side == "above" else bets.below
        found = log_evidence(cells, side=side, expected=success, bets=which, ratio=ratio)
        return bool(found >= -log(alpha[test]))

    lost = sure("below", 1 - max_loss, "loss")
    passed = sure("above", 1 - margin, "advance")
    interval = ratio_interval(
        cells,
        expected=success,
        bets_above=bets.above,
        bets_below=bets.below,
        alpha_above=alpha["advance"],
        alpha_below=alpha["loss"],
    )
    return _compared("click success", "Success", interval, lost, passed, 1 - margin, margin)


def _won(
    strata: Sequence[Stratum],
    margin: float,
    max_loss: float,
    design_loss: float,
    alpha: Mapping[str, float],
) -> Finding:
    wins, losses = sum(each.wins for each in strata), sum(each.losses for each in strata)
    bets = bets_for(margin=margin, design_loss=design_loss, success=0.5)

    def sure(side: Side, share: float, test: str) -> bool:
        which = bets.above if side == "above" else bets.below
        found = log_win_evidence(wins, losses, side=side, null=np.array(share), bets=which)
        return bool(found >= -log(alpha[test]))

    lost = sure("below", (1 - max_loss) / 2, "loss")
    interval = wins_interval(
        wins,
        losses,
        bets_above=bets.above,
        bets_below=bets.below,
        alpha_above=alpha["advance"],
        alpha_below=alpha["loss"],
    )
    passed = sure("above", (1 - margin) / 2, "advance")
    bound = (1 - margin) / 2
    return _compared("sessions won", "Sessions won", interval, lost, passed, bound, margin)


def _compared(
    name: str,
    title: str,
    found: Interval,
    lost: bool,
    passed: bool,
    bound: float,
    margin: float,
) -> Finding:
    holds = False if lost else True if passed else None
    low = "-" if found.low is None else f"{found.low:.3f}"
    high = "-" if found.high is None else f"{found.high:.3f}"
    value = "unknown" if found.value is None else f"{found.value:.3f}"
    verdict = {
        True: f"a loss above {margin:.0%} is excluded",
        False: "a loss is sure",
        None: f"a loss above {margin:.0%} is neither excluded nor sure yet",
    }[holds]
    unit = "ratio" if name == "click success" else "share"
    evidence = Evidence(name, found.value, found.low, found.high, found.n, bound, holds)
    sentence = f"{title}: {unit} {value} ({low} to {high}), {found.n} sessions: {verdict}."
    return Finding(evidence, sentence)
