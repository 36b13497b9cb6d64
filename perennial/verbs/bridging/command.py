"""`perennial bridge`: the verb's options, and how it reports while it works."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from perennial.errors import BadInput
from perennial.params.reading import load_params
from perennial.release.stores.open import open_store
from perennial.workspace import Places


def register_bridge(
    app: typer.Typer, *, key: Callable[[], bytes | None], who: Callable[[], str]
) -> None:
    """Add the verb to the command line; `key` and `who` read the environment when they run."""

    @app.command()
    def bridge(
        encoder: Annotated[
            str, typer.Option(help="The new encoder: a SentenceTransformer folder or hub id.")
        ],
        sample: Annotated[
            int | None, typer.Option(help="Documents to embed; default: bridge.sample.")
        ] = None,
        full: Annotated[
            bool, typer.Option("--full", help="Measure against the whole catalogue, embedded.")
        ] = False,
        serve: Annotated[
            bool, typer.Option("--promote", help="Serve it until the full release comes.")
        ] = False,
        force: Annotated[
            bool, typer.Option("--force", help="Publish it however little it finds.")
        ] = False,
        reason: Annotated[str, typer.Option(help="Why it is forced; others read it.")] = "",
        channel: Annotated[
            str, typer.Option("--channel", help="The channel whose index it uses.")
        ] = "production",
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    ) -> None:
        """Serve a new encoder on the champion's index, through a learned map, for a while."""
        from perennial.verbs.bridging.bridge import build_bridge
        from perennial.verbs.bridging.shown import show, value

        if force and not reason.strip():
            raise BadInput("--force needs a reason; give --reason 'why it may find too little'")
        params, places = load_params(Path("params.yaml")), Places.from_environment()
        if sample is not None:
            if sample < 1:
                raise BadInput(f"--sample is {sample}; embed at least 1 document")
            section = params.bridge.model_copy(update={"sample": sample})
            params = params.model_copy(update={"bridge": section})
        bridged = build_bridge(
            source=places.source,
            params=params,
            store=open_store(places.store),
            channel=channel,
            encoder=encoder,
            cache=places.cache,
            full=full,
            serve=serve,
            forced=reason if force else None,
            now=datetime.now(UTC),
            who=who(),
            key=key(),
            say=_say,
            progress=_progress,
        )
        moved = channel if serve else None
        if as_json:
            print(json.dumps(value(bridged, channel=moved), sort_keys=True))
        else:
            show(bridged, channel=moved)
        if bridged.manifest is None:
            raise typer.Exit(1)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _progress(what: str, done: int, total: int) -> None:
    """One line that renews itself on a terminal; nothing where nobody watches."""
    if sys.stderr.isatty():
        end = "\n" if done == total else "\r"
        print(f"{done:,} of {total:,} documents, {what} encoder", end=end, file=sys.stderr)
