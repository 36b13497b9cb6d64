"""What a rollout will need, before anything starts: sessions and days of every step."""

from dataclasses import asdict, dataclass
from typing import Any

from perennial.data.before import Before
from perennial.params import Canary
from perennial.quality.needed import sessions_needed
from perennial.quality.rollout import bets_for
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
        if plan.stage == "interleave":
            # Of interleaved sessions this treats all as decided: ties come on top.
            stable, scale = 0.5, plan.share
        else:
            stable, scale = found.success, 1.0
        bets = bets_for(margin=plan.margin, design_loss=section.design_loss, success=stable)
        alpha, split = section.alpha, section.split
        share = 0.5 if plan.stage == "interleave" else plan.share
        passing = sessions_needed(
            side="above",
            share=share,
            stable=stable,
            candidate=stable,
            bets=bets.above,
            alpha=alpha * split.advance,
            power=_POWER,
            ratio=1 - plan.margin,
        )
        stopping = sessions_needed(
            side="below",
            share=share,
            stable=stable,
            candidate=stable * (1 - section.design_loss),
            bets=bets.below,
            alpha=alpha * split.loss,
            power=_POWER,
            ratio=1 - min(section.max_loss, plan.margin),
        )
        sessions, stop = (
            None if each is None else round(each / scale) for each in (passing, stopping)
        )
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


def forecast_value(found: Before, rows: list[Forecast], *, channel: str) -> dict[str, Any]:
    """The same as plain values for JSON."""
    about = {"format_version": 1, "channel": channel, "power": _POWER}
    measured = asdict(found) | {"sessions_per_day": found.sessions_per_day}
    return about | {"measured": measured, "steps": [asdict(row) for row in rows]}


def _days(sessions: int | None, found: Before) -> float | None:
    if sessions is None or not found.sessions_per_day:
        return None
    return sessions / found.sessions_per_day
