"""The page of a look, and what Prefect shows of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from perennial.quality.drift.hourly import SHARES
from perennial.quality.drift.usual import last_week
from perennial.release.manifests.canonical import parse_utc
from perennial.report.watch import render_watch
from perennial.report.watch_view import Course, SignalRow, WatchView
from perennial.verbs.watching.signals import Traffic
from perennial.verbs.watching.watch import Look
from tasks.artifacts import show_decision, show_page
from tasks.notes import write_json, write_note


def page_of(home: Path, channel: str) -> Path:
    """Where the page of the last look at a channel is."""
    return home / "watch" / channel / "report.html"


def show_watch(look: Look, home: Path, *, alpha: float) -> Path:
    """Write the page and decision.json beside it; show the decision and a link in Prefect."""
    page = page_of(home, look.channel)
    write_note(page, render_watch(view_of(look, alpha=alpha)))
    write_json(
        page.with_name("decision.json"),
        {
            "format_version": 1,
            "channel": look.channel,
            "release_id": look.release_id,
            "at": look.at,
            "log_end": look.log_end,
            **look.decision.to_dict(),
        },
    )
    show_decision("watch", look.decision)
    show_page("watch-page", page, f"Watch of {look.channel}")
    return page


def print_watch(look: Look, page: Path, console: Console) -> None:
    """The same for a person at a terminal."""
    for note in look.notes:
        console.print(Text(note, style="dim"), soft_wrap=True)
    said = f"{look.decision.outcome}: " + "\n  ".join(look.decision.reasons)
    console.print(Text(said), soft_wrap=True)
    console.print(Text(f"page: {page}", style="dim"), soft_wrap=True)


def view_of(look: Look, *, alpha: float) -> WatchView:
    """What the page shows, the most surprising signals first."""
    rows = [
        SignalRow(
            each.signal.name,
            each.signal.about,
            each.signal.said,
            each.signal.effect,
            each.signal.floor,
            each.signal.p,
            None if each.signal.p is None else each.level,
            each.fires,
        )
        for each in look.judged
    ]
    return WatchView(
        channel=look.channel,
        release_id=look.release_id,
        at=parse_utc(look.at),
        log_end=parse_utc(look.log_end),
        decision=look.decision.to_dict(),
        rows=sorted(rows, key=lambda row: (not row.fires, 1.0 if row.p is None else row.p)),
        courses=[] if look.traffic is None else list(_courses(look.traffic)),
        alpha=alpha,
        notes=look.notes,
    )


def _courses(traffic: Traffic) -> Iterator[Course]:
    requests, firsts = traffic.requests, traffic.firsts
    each = np.ones(len(requests.hours), dtype=np.int64)
    yield Course("Requests an hour", *last_week(requests.trials, each, requests.hours))
    for name in ("click success", "reformulation"):
        title = SHARES[name].title
        yield Course(
            f"Share of {title}", *last_week(firsts.hits[name], firsts.trials, firsts.hours)
        )
