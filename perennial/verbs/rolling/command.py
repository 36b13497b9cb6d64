"""The verbs of a rollout: plan, pause. What ticks it is the flow `rollout`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from perennial.params.reading import load_params
from perennial.release.stores.open import open_store
from perennial.workspace import Places

if TYPE_CHECKING:
    from perennial.data.before import Before
    from perennial.verbs.rolling.forecast import Forecast

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ChannelName = Annotated[str, typer.Option("--channel", help="The channel that rolls out.")]


def register_rolling(
    app: typer.Typer, *, key: Callable[[], bytes | None], who: Callable[[], str]
) -> None:
    """Add the verbs to the command line; `key` and `who` read the environment when they run."""
    rollout_app = typer.Typer(no_args_is_help=True, help="The way of a candidate to the people.")
    app.add_typer(rollout_app, name="rollout")

    @rollout_app.command()
    def plan(channel: ChannelName = "production", as_json: Json = False) -> None:
        """Show the sessions and days that each step needs at the rates of the last days."""
        from perennial.verbs.rolling.forecast import forecast, forecast_value
        from perennial.verbs.rolling.steps import baseline, measured

        params = load_params(Path("params.yaml"))
        found = measured(
            Places.from_environment().source, params, channel=channel, now=datetime.now(UTC)
        )
        baseline(found, params.canary, channel=channel)
        rows = forecast(found, params.canary)
        value = forecast_value(found, rows, channel=channel)
        print(json.dumps(value, indent=2)) if as_json else _show(found, rows, Console())
        if not all(row.suffices for row in rows):
            raise typer.Exit(1)

    @rollout_app.command()
    def pause(
        reason: Annotated[str, typer.Option("--reason", help="What is being looked into.")],
        channel: ChannelName = "production",
    ) -> None:
        """Keep a rollout where it is until `perennial resume`; its deadline goes on."""
        from perennial.release.rollouts.moves import pause as hold

        store = open_store(Places.from_environment().store)
        held = hold(store, channel, reason=reason, now=datetime.now(UTC), who=who(), key=key())
        stays = held.candidate
        where = "nothing rolls out" if stays is None else f"{stays.release_id} stays at its step"
        until = "" if stays is None else f" until {stays.deadline}, when it goes back"
        print(f"{channel} is on hold: {where}{until}. Go on: perennial resume --reason '...'")


def _show(found: "Before", rows: "list[Forecast]", console: Console) -> None:
    console.print(
        f"{found.sessions:,} sessions in {found.days:.1f} days ({found.sessions_per_day:,.0f} a "
        f"day); {found.success:.1%} of them found something."
    )
    table = Table(title="To pass, equal; to be stopped, at the design loss (80 % of rollouts)")
    for heading in ("step", "share", "margin", "sessions", "on it", "days", "stopped after"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    table.add_column("hours")
    table.add_column("enough")
    for row in rows:
        table.add_row(
            row.stage,
            f"{row.share:.0%}",
            f"{row.margin:.0%}",
            _count(row.sessions),
            _count(row.candidate_sessions),
            "-" if row.days is None else f"{row.days:,.2f}",
            _count(row.stop_sessions),
            f"{row.min_hours:g} to {row.max_hours:g}",
            "yes" if row.suffices else "NO: inconclusive",
        )
    console.print(table)


def _count(sessions: int | None) -> str:
    return "never" if sessions is None else f"{sessions:,}"
