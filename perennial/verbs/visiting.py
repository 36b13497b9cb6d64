"""simulate --on http://…: simulated people come to a running search service."""

import secrets
import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from perennial.params.world import Simulate
from perennial.simulation.visits import Visits, visit
from perennial.verbs.simulate import habits
from perennial.verbs.source import read_truth
from perennial.workspace import Places, access_keys

WORKERS = 8


def visit_service(url: str, places: Places, *, section: Simulate, seed: int) -> Visits:
    """`section.sessions` people at the service; what they saw is in the log that it writes.

    Raises BadInput where nobody answers, or no answers are known.
    """
    keys, truth = access_keys(), read_truth(places.source)
    columns = (TextColumn("visits"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("visits", total=section.sessions)
        come_in: Callable[[], None] = lambda: bar.advance(task)  # noqa: E731
        return visit(
            url,
            truth,
            sessions=section.sessions,
            results=section.results,
            habits=habits(section),
            seed=seed,
            tag=f"v-{secrets.token_hex(6)}",  # a session's arm is decided by its id
            workers=WORKERS,
            access_key=keys[0] if keys else None,
            come_in=come_in,
        )


def visits_in_words(url: str, found: Visits) -> str:
    """One sentence on what came of them."""
    arms = ", ".join(f"{count:,} on {arm}" for arm, count in found.requests.items()) or "none"
    failed = f"; {found.failed:,} sessions failed, first: {found.first_failure}"
    return (
        f"{found.sessions:,} simulated sessions at {url}: searches {arms}, {found.clicks:,} clicks"
        f"{failed if found.failed else ''}"
    )
