"""The steps that params.yaml plans, and the baseline that their tests are laid out for."""

from datetime import datetime
from pathlib import Path

from perennial.data.before import Before, before
from perennial.errors import Refused
from perennial.params.rollout import Canary
from perennial.params.whole import Params
from perennial.release.channels.channel import Baseline, Candidate
from perennial.release.rollouts.machine import Planned

# Success that is nearly never, or nearly always, leaves nothing to bet on.
_LEAST_SUCCESS, _MOST_SUCCESS = 0.001, 0.995


def planned(section: Canary, candidate: Candidate | None = None) -> list[Planned]:
    """Shadow, then every step of the section, by the method that the candidate's rollout began
    with: what one showed proves nothing to the other, and both together would share no alpha."""
    stage = "interleave" if section.method == "interleaving" else "canary"
    stage = _begun_with(candidate) or stage
    shadow = Planned("shadow", 0.0, 0.0, section.shadow_min_hours, section.shadow_max_hours)
    return [
        shadow,
        *(
            Planned(stage, each.share, each.margin, each.min_hours, each.max_hours)
            for each in section.steps
        ),
    ]


def kept_method(section: Canary, candidate: Candidate) -> str | None:
    """A sentence where params.yaml asks for another method than the rollout began with."""
    stage = _begun_with(candidate)
    began = {"interleave": "interleaving", "canary": "sessions"}.get(stage or "", section.method)
    if began == section.method:
        return None
    return (
        f"canary.method is {section.method} now; this rollout began with {began} and keeps it, the "
        "next one will not."
    )


def _begun_with(candidate: Candidate | None) -> str | None:
    """The stage of the first step in which people saw the candidate; None before."""
    steps = () if candidate is None else candidate.steps
    return next((each.stage for each in steps if each.stage != "shadow"), None)


def measured(source: Path, params: Params, *, channel: str, now: datetime) -> Before:
    """What the channel's people did in the days before."""
    section = params.canary
    return before(
        source,
        channel=channel,
        days=section.baseline_days,
        now=now,
        session_seconds=section.session_seconds,
        click_window_seconds=params.snapshot.click_window_seconds,
        dwell_seconds=section.success_dwell_seconds,
        memory_mb=section.memory_mb,
    )


def baseline(found: Before, section: Canary, *, channel: str) -> Baseline:
    """What the rollout keeps of it; raises Refused where too few people came to say."""
    if found.sessions < section.min_baseline_sessions or found.success is None:
        raise Refused(
            f"{found.sessions} sessions of {channel} are logged of the last "
            f"{section.baseline_days} days, and {section.min_baseline_sessions} are needed to lay "
            "out a rollout (canary.min_baseline_sessions); let people search first"
        )
    assert found.p95_ms is not None
    success = min(max(found.success, _LEAST_SUCCESS), _MOST_SUCCESS)
    return Baseline(success, max(found.p95_ms, 0.001) * section.slow_ratio)
