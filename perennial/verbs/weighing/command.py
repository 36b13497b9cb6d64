"""`perennial pareto`: the verb's options, and how it tells what it found."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from perennial.errors import BadInput
from perennial.params.reading import load_params
from perennial.release.channels.moves import existing_channel
from perennial.release.manifests.canonical import utc_text
from perennial.release.stores.durable import usable, write_atomically
from perennial.release.stores.open import open_store
from perennial.workspace import Places

if TYPE_CHECKING:
    from perennial.report.pareto_view import ParetoView


def register_pareto(app: typer.Typer, *, key: Callable[[], bytes | None]) -> None:
    """Add the verb to the command line; `key` reads the environment when it runs."""

    @app.command()
    def pareto(
        channel: Annotated[
            str, typer.Option("--channel", help="The channel whose release is looked at.")
        ] = "production",
        release: Annotated[
            str | None, typer.Option("--release", help="Another release; its id.")
        ] = None,
        dimension: Annotated[
            list[int] | None,
            typer.Option("--dimension", help="A width; repeatable. Default: all, half, quarter …"),
        ] = None,
        queries: Annotated[int, typer.Option(help="How many logged queries to ask.")] = 500,
        price_per_core_hour: Annotated[float, typer.Option(help="Of one core.")] = 0.04,
        price_per_gb_hour: Annotated[float, typer.Option(help="Of a gigabyte of memory.")] = 0.005,
        rate: Annotated[float, typer.Option(help="Queries a second that come.")] = 10.0,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    ) -> None:
        """Weigh the indexes that the release could have: recall, latency, memory, cost."""
        from perennial.report.pareto import render_pareto
        from perennial.report.pareto_view import Prices
        from perennial.verbs.weighing.compare import compare_indexes

        prices = Prices(price_per_core_hour, price_per_gb_hour, rate)
        if min(price_per_core_hour, price_per_gb_hour) < 0 or rate <= 0:
            raise BadInput("a price is at least 0, and --rate above it; correct them")
        places = Places.from_environment()
        store = open_store(places.store)
        view = compare_indexes(
            release or existing_channel(store, channel, key=key()).stable,
            source=places.source,
            params=load_params(Path("params.yaml")),
            store=store,
            cache=places.cache,
            queries=queries,
            widths=dimension or (),
            prices=prices,
            now=datetime.now(UTC),
            key=key(),
            say=lambda line: print(line, file=sys.stderr),
            progress=lambda what, done, total: None,
        )
        page = places.home / "pareto" / view.release_id / "report.html"
        with usable(page.parent):
            write_atomically(page, [render_pareto(view).encode()])
        if as_json:
            print(json.dumps(_value(view, page), indent=2, sort_keys=True))
        else:
            _show(view, page, Console())


def _value(view: "ParetoView", page: Path) -> dict[str, Any]:
    about = asdict(view) | {"at": utc_text(view.at), "page": str(page)}
    return {"format_version": 1} | about


def _show(view: "ParetoView", page: Path, console: Console) -> None:
    from perennial.report.pareto import money
    from perennial.report.words import number

    table = Table(box=SIMPLE_HEAD)
    table.add_column("index", no_wrap=True)
    for name in ("dims", "recall", "p50 ms", "p95 ms", "MB", "1,000 cost"):
        table.add_column(name, justify="right")
    table.add_column("front")
    for row in view.rows:
        table.add_row(
            row.factory,
            str(row.dimension),
            number(row.recall.value),
            number(row.p50_ms, 2),
            number(row.p95_ms, 2),
            f"{row.bytes / 1e6:,.1f}",
            money(row.cost),
            ("✓" if row.on_front else "") + (" serves" if row.serves else ""),
        )
    console.print(table)
    for each in view.left_out:
        console.print(f"Left out: {each}.")
    console.print(f"The page with its intervals and the formula: {page}", soft_wrap=True)
