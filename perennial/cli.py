"""The `perennial` command: the domain's verbs. What needs an orchestrator is a flow."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perennial.errors import PerennialError
from perennial.release.stores.open import open_store
from perennial.release.stores.store import Store
from perennial.verbs.bridging.command import register_bridge
from perennial.verbs.commands import register
from perennial.verbs.exporting.command import register_export
from perennial.verbs.history import register_history
from perennial.verbs.keeping import register_keeping
from perennial.verbs.moving import register_moving
from perennial.verbs.rolling.command import register_rolling
from perennial.verbs.serve import register_serve
from perennial.verbs.weighing.command import register_pareto
from perennial.workspace import Places, runtime, signing_key, user

app = typer.Typer(
    name="perennial",
    help="Keeps a semantic search alive. Places come from the environment (PERENNIAL_HOME).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ChannelName = Annotated[str, typer.Option("--channel", help="The channel to look at or move.")]


@app.command()
def status(channel: ChannelName = "production", as_json: Json = False) -> None:
    """Show what a channel serves, whether it is on hold, and every release in the store."""
    from perennial.release.overview import overview, show

    view = overview(_store(), channel, key=signing_key())
    _print_json(view) if as_json else show(view, Console())


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", help="How many documents.")] = 10,
    channel: ChannelName = "production",
    as_json: Json = False,
) -> None:
    """Search with the release that a channel serves."""
    from perennial.serving.excerpts import Excerpt, read_excerpts
    from perennial.serving.loaded import check_queries
    from perennial.serving.searcher import Searcher

    check_queries([query], k)
    places = Places.from_environment()
    searcher = Searcher.open(
        _store(), channel, places.cache, math.inf, signing_key(), runtime=runtime()
    )
    answer = searcher.search(query, k)
    found = read_excerpts(places.source, [hit.doc_id for hit in answer.hits])
    excerpts = [found.get(hit.doc_id, Excerpt(None, "")) for hit in answer.hits]
    if as_json:
        rows = [
            asdict(hit) | {"title": excerpt.title}
            for hit, excerpt in zip(answer.hits, excerpts, strict=True)
        ]
        about = {"format_version": 1, "release_id": answer.release_id, "query": query}
        _print_json(about | {"found": answer.found, "hits": rows})
        return
    table = Table()
    for heading in ("rank", "score"):
        table.add_column(heading, justify="right")
    table.add_column("doc_id", overflow="fold")
    table.add_column("document")
    for hit, excerpt in zip(answer.hits, excerpts, strict=True):
        text = Text.assemble((excerpt.title or "", "bold"), "\n" * bool(excerpt.first_words))
        text.append(excerpt.first_words)
        table.add_row(str(hit.rank), f"{hit.score:.3f}", Text(hit.doc_id), text)
    if answer.hits:
        Console().print(table)
    how = {"dense": "", "lexical": ", by words alone", "fused": ", by vectors and words"}
    print(f"{len(answer.hits)} documents, answered by {answer.release_id}{how[answer.found]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb: its exit code; a failure is one sentence on stderr, never a traceback."""
    try:
        app(args=arguments, prog_name="perennial")
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    except SystemExit as done:  # how typer ends, after it has told a usage error
        return done.code if isinstance(done.code, int) else 0
    return 0


def _store() -> Store:
    return open_store(Places.from_environment().store)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, sort_keys=True))


register(app, key=signing_key, who=user)
register_moving(app, key=signing_key, who=user)
register_history(app, key=signing_key)
register_keeping(app, key=signing_key, who=user)
register_rolling(app, key=signing_key, who=user)
register_bridge(app, key=signing_key, who=user)
register_serve(app, key=signing_key)
register_export(app, key=signing_key, who=user)
register_pareto(app, key=signing_key)


if __name__ == "__main__":
    sys.exit(main())
