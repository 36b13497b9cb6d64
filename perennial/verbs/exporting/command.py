"""`perennial export onnx`: the verb's options, and what it tells."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from perennial.release.stores.open import open_store
from perennial.workspace import Places


def register_export(
    app: typer.Typer, *, key: Callable[[], bytes | None], who: Callable[[], str]
) -> None:
    """Add the verb to the command line; `key` and `who` read the environment when they run."""
    export = typer.Typer(no_args_is_help=True, help="The encoder in a form that needs no torch.")
    app.add_typer(export, name="export")

    @export.callback()
    def only() -> None:
        """The encoder in a form that needs no torch."""

    @export.command()
    def onnx(
        channel: Annotated[
            str, typer.Option("--channel", help="The channel whose release gets the graph.")
        ] = "production",
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    ) -> None:
        """Serve the same release with its encoder as an ONNX graph, proven equal on 1,000 texts."""
        from perennial.verbs.exporting.export import export_serving

        places = Places.from_environment()
        made = export_serving(
            store=open_store(places.store),
            channel=channel,
            source=places.source,
            cache=places.cache,
            now=datetime.now(UTC),
            who=who(),
            key=key(),
            say=lambda line: print(line, file=sys.stderr),
        )
        part = made.onnx
        assert part is not None
        if as_json:
            about = {"format_version": 1, "release_id": made.release_id, "channel": channel}
            print(json.dumps(about | {"onnx": asdict(part)}, indent=2, sort_keys=True))
            return
        print(
            f"{channel} serves {made.release_id}, whose graph differs from torch by "
            f"{part.max_difference:.1g} at most, {part.mean_difference:.1g} on average "
            f"(1 - cosine, {part.texts:,} texts). PERENNIAL_RUNTIME=onnx uses it."
        )
