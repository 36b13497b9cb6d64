"""What a rollout will need, before anything starts: sessions and days of every step."""

from dataclasses import asdict, dataclass
from typing import Any

from perennial.data.before import Before
from perennial.params.rollout import Canary
from perennial.quality.needed import sessions_needed, wins_needed
from perennial.quality.rollout import bets_for
from perennial.release.rollouts.machine import Planned
from perennial.verbs.rolling.steps import planned

_POWER = 0.8


@dataclass(frozen=True)
class Forecast:
    """One step at the measured rates: what an equal candidate needs to pass it, and one that loses
    `design_loss` to be stopped, with a chance of 80 %; sessions are those of both arms."""

    stage: str
    share: float
    margin: float
    sessions: int | None
    candidate_sessions: int | None
    days: float | None
    stop_sessions: int | None
    stop_days: float | None
    min_hours: float
    max_hours: float
    suffices: bool


def forecast(found: Before, section: Canary) -> list[Forecast]:
    """Every step by itself: what the steps before it bring on top only shortens it."""
    assert found.success is not None
    rows = []
    for plan in planned(section):
        if plan.stage == "shadow":
            continue
        needed = _won if plan.stage == "interleave" else _compared
        sessions, stop = needed(plan, section, success=found.success)
        days, stop_days = (_days(each, found) for each in (sessions, stop))
        rows.append(
            Forecast(
                plan.stage,
                plan.share,
                plan.margin,
                sessions,
                None if sessions is None else round(sessions * plan.share),
                days,
                stop,
                stop_days,
                plan.min_hours,
                plan.max_hours,
                days is not None and days * 24 <= plan.max_hours,
            )
        )
    return rows


def _compared(plan: Planned, section: Canary, *, success: float) -> tuple[int | None, int | None]:
    """Sessions to pass and to be stopped where each session has one arm."""
    bets = bets_for(margin=plan.margin, design_loss=section.design_loss, success=success)
    common = {"share": plan.share, "stable": success, "power": _POWER}
    passing = sessions_needed(
        side="above",
        candidate=success,
        bets=bets.above,
        alpha=section.alpha * section.split.advance,
        ratio=1 - plan.margin,
        **common,
    )
    stopping = sessions_needed(
        side="below",
        candidate=success * (1 - section.design_loss),
        bets=bets.below,
        alpha=section.alpha * section.split.loss,
        ratio=1 - section.max_loss,
        **common,
    )
    return passing, stopping


def _won(plan: Planned, section: Canary, *, success: float) -> tuple[int | None, int | None]:
    """The same where a session sees both in one list: who found nothing is won by nobody."""
    bets = bets_for(margin=plan.margin, design_loss=section.design_loss, success=0.5)
    passing = wins_needed(
        side="above",
        null=(1 - plan.margin) / 2,
        won=0.5,
        bets=bets.above,
        alpha=section.alpha * section.split.advance,
        power=_POWER,
    )
    stopping = wins_needed(
        side="below",
        null=(1 - section.max_loss) / 2,
        won=(1 - section.design_loss) / 2,
        bets=bets.below,
        alpha=section.alpha * section.split.loss,
        power=_POWER,
    )
    decided = plan.share * success
    return (
        None if passing is None else round(passing / decided),
        None if stopping is None else round(stopping / decided),
    )


def forecast_value(found: Before, rows: list[Forecast], *, channel: str) -> dict[str, Any]:
    """The same as plain values for JSON."""
    about = {"format_version": 1, "channel": channel, "power": _POWER}
    measured = asdict(found) | {"sessions_per_day": found.sessions_per_day}
    return about | {"measured": measured, "steps": [asdict(row) for row in rows]}


def _days(sessions: int | None, found: Before) -> float | None:
    if sessions is None or not found.sessions_per_day:
        return None
    return sessions / found.sessions_per_day
