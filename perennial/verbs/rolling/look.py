"""One look at a rollout: count its sessions, judge them, and write where it stands then.

It may be taken any number of times, from any number of processes: what was decided is written by a
compare-and-swap on the channel that was looked at, so that only one of them moves it.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from perennial.data.sessions import Counted, Drawn, count_sessions
from perennial.errors import PerennialError
from perennial.params import Params
from perennial.quality.decision import Decision
from perennial.quality.rollout import judge_traffic
from perennial.quality.traffic import Arrived, Stratum
from perennial.release.channels.channel import Candidate, Channel
from perennial.release.channels.moves import existing_channel, read_kept
from perennial.release.manifests.canonical import parse_utc
from perennial.release.rollouts.machine import current, ticked
from perennial.release.rollouts.moves import ended, step
from perennial.release.stores.store import Store
from perennial.verbs.rolling.steps import planned

# Asks both releases the same queries, without anybody seeing it: (stable, candidate) to a Decision.
Shadowing = Callable[[str, str], Decision]


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
    clock: Callable[[], datetime] | None = None,
) -> Look:
    """Judge the channel's candidate and move it; raises Conflict where another writer was first.

    `clock` tells the time again once it is judged: a shadow asks for minutes, and a step begins
    when services can read of it, not when the look began.
    """
    seen = existing_channel(store, channel_name, key=key)
    candidate, steps = seen.candidate, planned(params.canary)
    if candidate is None:
        return Look(Decision("none", (f"{channel_name} rolls out nothing.",), ()), (), seen)
    strata: list[Stratum] = []
    if candidate.stage == "shadow" or not candidate.steps:
        found = Decision("inconclusive", (), ())
        if candidate.steps:
            found = shadowing(seen.stable, candidate.release_id)
    else:
        strata = strata_of(store, candidate, channel_name, params, source, now=now, key=key)
        found = judged(strata, candidate, params, margin=current(candidate, steps).margin)
    now = clock() if clock is not None else now
    held = seen.hold.reason if seen.hold is not None else None
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


def strata_of(
    store: Store,
    candidate: Candidate,
    channel: str,
    params: Params,
    source: Path,
    *,
    now: datetime,
    key: bytes | None,
) -> list[Stratum]:
    """The sessions of all steps so far, of all releases of the candidate's lineage."""
    lineage = read_kept(store, candidate.release_id, key=key).lineage
    ours = [each for each in store.release_ids() if _lineage(store, each, key=key) == lineage]
    return strata_in(source, candidate, ours, params, channel=channel, now=now)


def strata_in(
    source: Path,
    candidate: Candidate,
    releases: Sequence[str],
    params: Params,
    *,
    channel: str,
    now: datetime,
) -> list[Stratum]:
    """The same where the candidate's `releases` are known."""
    assert candidate.baseline is not None
    settle = timedelta(seconds=params.canary.settle_seconds)
    since = [parse_utc(each.since) for each in candidate.steps]
    # What the service drew past the deadline it drew for nobody: everybody was on stable.
    last = min(now, parse_utc(candidate.deadline)) if candidate.deadline else now
    drawn = [
        Drawn(each.stage, each.share, begin + settle, end)
        for each, begin, end in zip(candidate.steps, since, [*since[1:], last], strict=True)
    ]
    counted = count_sessions(
        source,
        channel=channel,
        steps=drawn,
        candidate_releases=releases,
        slow_ms=candidate.baseline.slow_ms,
        now=now,
        session_seconds=params.canary.session_seconds,
        click_window_seconds=params.snapshot.click_window_seconds,
        dwell_seconds=params.canary.success_dwell_seconds,
        memory_mb=params.canary.memory_mb,
    )
    return _strata(counted, drawn)


def _strata(counted: Sequence[Counted], steps: Sequence[Drawn]) -> list[Stratum]:
    """Both arms of every step and day side by side; of the shadow nobody saw anything."""
    days: dict[tuple[int, str], dict[str, Counted]] = {}
    for each in counted:
        if steps[each.step].share > 0:
            days.setdefault((each.step, each.day), {})[each.arm] = each
    found = []
    for (number, day), arms in sorted(days.items()):
        ours = arms.get("candidate")
        found.append(
            Stratum(
                number,
                steps[number].stage,
                steps[number].share,
                day,
                _arrived(arms.get("stable")),
                _arrived(ours),
                ours.wins if ours else 0,
                ours.losses if ours else 0,
                ours.ties if ours else 0,
            )
        )
    return found


def _arrived(counted: Counted | None) -> Arrived:
    if counted is None:
        return Arrived()
    return Arrived(
        counted.began,
        counted.settled,
        counted.successes,
        counted.slow,
        counted.failed,
        counted.empty,
    )


def _lineage(store: Store, release_id: str, *, key: bytes | None) -> str | None:
    with contextlib.suppress(PerennialError):
        return read_kept(store, release_id, key=key).lineage
    return None
