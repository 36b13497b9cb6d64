"""The rollout as a state machine: (state, what was seen, now) to a decision and the next state.

The state is the channel's candidate and nothing else, so that any number of ticks, in any process,
go on from where the last one stopped. Whatever the clock does, traffic only ever grows by a step
whose evidence is there, and every step has a deadline at which the service itself falls back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from perennial.quality.decision import Decision
from perennial.release.channels.channel import Baseline, Candidate, Step
from perennial.release.manifests.canonical import parse_utc, utc_text


@dataclass(frozen=True)
class Planned:
    """A step as planned: who sees it, which loss it must exclude, how long it lasts at least and
    at most. In `shadow` nobody sees it."""

    stage: str
    share: float
    margin: float
    min_hours: float
    max_hours: float


@dataclass(frozen=True)
class Tick:
    """What one look decided, and the candidate after it; None where the rollout has ended.

    none: it stays; advance: the next step has begun; promote: it is proven, and is to be swapped
    in; rollback and inconclusive: it goes back.
    """

    decision: Decision
    candidate: Candidate | None


def begun(
    release_id: str,
    *,
    steps: Sequence[Planned],
    baseline: Baseline | None,
    salt: str,
    now: datetime,
) -> Candidate:
    """The candidate at its first step."""
    empty = Candidate(release_id, "", 0.0, salt, None, (), baseline)
    return _at(empty, steps[0], now)


def current(candidate: Candidate, steps: Sequence[Planned]) -> Planned:
    """The plan of the step that the candidate is at; of the last one where the plan got shorter."""
    return steps[min(len(candidate.steps), len(steps)) - 1]


def ticked(
    candidate: Candidate,
    found: Decision,
    *,
    steps: Sequence[Planned],
    now: datetime,
    held: str | None = None,
) -> Tick:
    """What follows from what was `found` at the candidate's step.

    Harm sends it back whatever else is so. On hold (`held` says why) it may go back, but not
    forward. By a clock that shows a time before the step began it goes neither forward nor, since
    no deadline has passed there, back: the service shows such a step to nobody.
    """
    if not candidate.steps or candidate.deadline is None:
        return _end(candidate, found, f"No rollout began {candidate.release_id}: it goes back.")
    plan, since = current(candidate, steps), parse_utc(candidate.steps[-1].since)
    where = f"step {len(candidate.steps)} of {len(steps)} ({described(plan)})"
    if found.outcome in ("rollback", "reject"):
        return Tick(replace(found, outcome="rollback"), None)
    if now < since:
        reason = f"The clock shows {utc_text(now)}, before {where} began; nothing is decided."
        return _stay(candidate, found, reason)
    if now >= parse_utc(candidate.deadline):
        reason = f"The deadline of {where}, {candidate.deadline}, has passed without enough proof."
        return _end(candidate, found, reason)
    if held is not None:
        return _stay(candidate, found, f"Paused at {where}: {held}.")
    if found.outcome != "advance":
        return _stay(candidate, found, f"Not enough is known at {where}.")
    ready = since + timedelta(hours=plan.min_hours)
    if now < ready:
        return _stay(candidate, found, f"Proven at {where}, which lasts until {utc_text(ready)}.")
    if len(candidate.steps) >= len(steps):
        reason = f"Proven at {where}, the last one."
        return Tick(_with(found, "promote", reason), candidate)
    following = steps[len(candidate.steps)]
    reason = f"Proven at {where}; next: {described(following)}."
    return Tick(_with(found, "advance", reason), _at(candidate, following, now))


def described(plan: Planned) -> str:
    """A step in words."""
    return plan.stage if plan.stage == "shadow" else f"{plan.stage}, {plan.share:.0%} of sessions"


def _at(candidate: Candidate, plan: Planned, now: datetime) -> Candidate:
    return replace(
        candidate,
        stage=plan.stage,
        share=plan.share,
        deadline=utc_text(now + timedelta(hours=plan.max_hours)),
        steps=(*candidate.steps, Step(plan.stage, plan.share, utc_text(now))),
    )


def _stay(candidate: Candidate, found: Decision, reason: str) -> Tick:
    return Tick(_with(found, "none", reason), candidate)


def _end(candidate: Candidate, found: Decision, reason: str) -> Tick:
    return Tick(_with(found, "inconclusive", reason), None)


def _with(found: Decision, outcome: str, reason: str) -> Decision:
    return replace(found, outcome=outcome, reasons=(reason, *found.reasons))  # type: ignore[arg-type]
