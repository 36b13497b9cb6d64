"""Let the simulated public use a search, and write what a service would log."""

from datetime import datetime, timedelta
from pathlib import Path

from perennial.params.world import Simulate
from perennial.simulation.public import Habits, Log, Search, simulate_sessions
from perennial.verbs.source import append_log, last_request, read_truth


def habits(section: Simulate) -> Habits:
    """The user model of params.yaml."""
    return Habits(
        position_decay=section.position_decay,
        click_if_relevant=section.click_if_relevant,
        click_if_not=section.click_if_not,
        stop_after_click=section.stop_after_click,
        abandon=section.abandon,
        max_requests=section.max_requests,
        explore=section.explore,
    )


def simulate(
    source: Path, search: Search, *, section: Simulate, channel: str, release_id: str
) -> Log:
    """Append one log of `section.sessions` to the source; it starts the day after the last one."""
    last = last_request(source)
    if last is None:
        start = datetime.fromisoformat(section.start)
    else:
        start = last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    tag = f"{start:%Y%m%d}-{release_id[-8:]}"
    log = simulate_sessions(
        search,
        read_truth(source),
        sessions=section.sessions,
        start=start,
        days=section.days,
        results=section.results,
        habits=habits(section),
        seed=section.seed + start.toordinal(),
        tag=tag,
        channel=channel,
        arm="stable",
        release_id=release_id,
    )
    append_log(
        source,
        tag,
        {"requests": log.requests, "impressions": log.impressions, "events": log.events},
    )
    return log
