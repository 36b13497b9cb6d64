"""One look at a rollout: count its sessions, judge them, and write where it stands then.

It may be taken any number of times, from any number of processes: what was decided is written by a
compare-and-swap on the channel that was looked at, so that only one of them moves it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from perennial.params.whole import Params
from perennial.quality.decision import Decision
from perennial.quality.rollout import judge_traffic
from perennial.quality.traffic import Stratum
from perennial.release.channels.channel import Candidate, Channel
from perennial.release.channels.history import ended
from perennial.release.channels.moves import existing_channel, read_kept
from perennial.release.rollouts.machine import current, ticked
from perennial.release.rollouts.moves import step
from perennial.release.stores.store import Store
from perennial.verbs.rolling.steps import kept_method, planned
from perennial.verbs.rolling.strata import strata_of

# Asks both releases the same queries, without anybody seeing it: (stable, candidate) to a Decision.
Shadowing = Callable[[str, str], Decision]
# Asks whether people still stand by the candidate: advance; rollback where they took their word
# back; inconclusive, with the reason first, where nobody can tell.
Approving = Callable[[str], Decision]


@dataclass(frozen=True)
class Look:
    """What was decided, what it rests on, and the channel after it.

    none: it goes on as it is, or nothing rolls out; promote: the swap is due.
    """

    decision: Decision
    strata: tuple[Stratum, ...]
    channel: Channel


def look(
    store: Store,
    channel_name: str,
    *,
    params: Params,
    source: Path,
    now: datetime,
    who: str,
    key: bytes | None,
    shadowing: Shadowing,
    approving: Approving | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Look:
    """Judge the channel's candidate and move it; raises Conflict where another writer was first.

    `clock` tells the time again once it is judged: a shadow asks for minutes, and a step begins
    when services can read of it, not when the look began.
    """
    seen = existing_channel(store, channel_name, key=key)
    candidate = seen.candidate
    if candidate is None:
        return Look(Decision("none", (f"{channel_name} rolls out nothing.",), ()), (), seen)
    steps, strata = planned(params.canary, candidate), list[Stratum]()
    word = None if approving is None else approving(candidate.release_id)
    if word is not None and word.outcome == "rollback":
        found = word
    elif candidate.stage == "shadow" or not candidate.steps:
        found = Decision("inconclusive", (), ())
        if candidate.steps:
            found = shadowing(seen.stable, candidate.release_id)
    else:
        strata = strata_of(store, candidate, channel_name, params, source, now=now, key=key)
        found = judged(strata, candidate, params, margin=current(candidate, steps).margin)
    if said := kept_method(params.canary, candidate):
        found = replace(found, reasons=(*found.reasons, said))
    now = clock() if clock is not None else now
    held = seen.hold.reason if seen.hold is not None else None
    if held is None and word is not None and word.outcome == "inconclusive":
        held = word.reasons[0].rstrip(".")
    after = ticked(candidate, found, steps=steps, now=now, held=held)
    if after.candidate != candidate:
        lineage = read_kept(store, candidate.release_id, key=key).lineage
        about = f"rollout of {candidate.release_id}" if after.candidate else ended(lineage)
        why = f"{about}: {after.decision.reasons[0]}"
        seen = step(store, seen, after.candidate, now=now, why=why, who=who, key=key)
    return Look(after.decision, tuple(strata), seen)


def judged(
    strata: Sequence[Stratum], candidate: Candidate, params: Params, *, margin: float
) -> Decision:
    """The rule of perennial/quality/rollout.py, with the numbers of params.yaml."""
    section = params.canary
    assert candidate.baseline is not None
    return judge_traffic(
        strata,
        margin=margin,
        max_loss=section.max_loss,
        design_loss=section.design_loss,
        success=candidate.baseline.success,
        alpha=section.alpha,
        split=section.split.model_dump(),
        max_slow=section.max_slow,
        max_failed=section.max_failed,
        max_empty=section.max_empty,
    )
