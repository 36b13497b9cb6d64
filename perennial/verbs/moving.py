"""The verbs that move or compare what is served: rollback, resume, diff."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perennial.release.channels.channel import Channel
from perennial.release.stores.open import open_store
from perennial.verbs.progress import warn
from perennial.workspace import Places

if TYPE_CHECKING:
    from perennial.release.manifests.difference import Difference, Documents

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ChannelName = Annotated[str, typer.Option("--channel", help="The channel to move.")]


def register_moving(
    app: typer.Typer, *, key: Callable[[], bytes | None], who: Callable[[], str]
) -> None:
    """Add the verbs to the command line; `key` and `who` read the environment when they run."""

    @app.command()
    def rollback(
        release_id: Annotated[str | None, typer.Argument(help="Any kept release.")] = None,
        index: Annotated[
            bool, typer.Option("--index", help="Previous index, same encoder.")
        ] = False,
        reason: Annotated[str, typer.Option("--reason", help="Why; others read it.")] = "by hand",
        channel: ChannelName = "production",
        as_json: Json = False,
    ) -> None:
        """Serve an older release within seconds, and hold promotions until `perennial resume`."""
        from perennial.release.channels.rollback import rollback as roll_back

        moved = roll_back(
            open_store(Places.from_environment().store),
            channel,
            to=release_id,
            index=index,
            now=datetime.now(UTC),
            why=f"rollback: {reason}",
            who=who(),
            key=key(),
            say=warn,
        )
        if as_json:
            _print_channel(moved)
            return
        print(
            f"{channel} serves {moved.stable} again (it was {moved.history[-1].from_}); nothing is "
            "promoted until `perennial resume --reason '...'`."
        )
        if moved.mask is not None:
            print(f"Hidden, since they were deleted: {moved.mask.documents:,} of its documents.")
        print("Bring its index up to date now: python -m flows.reindex --catch-up")

    @app.command()
    def resume(
        reason: Annotated[str, typer.Option("--reason", help="What was wrong and is fixed.")],
        channel: ChannelName = "production",
        as_json: Json = False,
    ) -> None:
        """End the hold that a rollback set, so that releases are promoted again."""
        from perennial.release.channels.moves import resume as end_hold

        store = open_store(Places.from_environment().store)
        now = datetime.now(UTC)
        moved = end_hold(store, channel, reason=reason, now=now, who=who(), key=key())
        if as_json:
            _print_channel(moved)
            return
        print(f"{channel} is no longer on hold and serves {moved.stable}.")
        if moved.mask is not None:
            print(f"Hidden until the next reindex: {moved.mask.documents:,} of its documents.")

    @app.command()
    def diff(
        before: Annotated[str, typer.Argument(metavar="A", help="A release, or a channel.")],
        after: Annotated[str, typer.Argument(metavar="B", help="The same.")],
        as_json: Json = False,
    ) -> None:
        """Show what changed from release A to release B: documents, encoder, settings, origin."""
        from perennial.release.manifests.difference import difference

        store = open_store(Places.from_environment().store)
        found = difference(store, before, after, key=key())
        if as_json:
            print(json.dumps({"format_version": 1} | asdict(found), indent=2, sort_keys=True))
        else:
            _show_difference(found, Console())


def _print_channel(channel: Channel) -> None:
    print(json.dumps(json.loads(channel.to_bytes()), indent=2, sort_keys=True))


def _show_difference(found: "Difference", console: Console) -> None:
    same = found.encoder[0] == found.encoder[1]
    encoders = found.encoder[0][7:15] if same else " to ".join(e[7:15] for e in found.encoder)
    console.print(
        f"{found.a} to {found.b}: {'the same encoder' if same else 'another encoder'} ({encoders})"
    )
    documents = Table("documents", "count", "first of them")
    documents.columns[1].justify = "right"
    for name in ("added", "changed", "removed"):
        part: Documents = getattr(found, name)
        more = ", …" if part.count > len(part.first) else ""
        documents.add_row(name, f"{part.count:,}", Text(", ".join(part.first) + more))
    documents.add_row("the same", f"{found.same:,}", "")
    console.print(documents)
    changes = {**found.settings, **found.provenance}
    if changes:
        table = Table("", "A", "B")
        for name, values in changes.items():
            table.add_row(name, *(Text("-" if v in (None, {}) else str(v)) for v in values))
        console.print(table)
