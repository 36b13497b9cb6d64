"""The sessions of a rollout, out of the service's log, as what its tests look at."""

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from perennial.data.sessions import Counted, Drawn, count_sessions
from perennial.errors import PerennialError
from perennial.params.whole import Params
from perennial.quality.traffic import Arrived, Stratum
from perennial.release.channels.channel import Candidate
from perennial.release.channels.moves import read_kept
from perennial.release.manifests.canonical import parse_utc
from perennial.release.stores.store import Store


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
