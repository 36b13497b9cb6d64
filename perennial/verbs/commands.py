"""The verbs that make something: import, bootstrap, simulate, snapshot, accept."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from perennial.errors import BadInput
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.release.stores.open import open_store
from perennial.workspace import Places, Workspace, session_key

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ChannelName = Annotated[str, typer.Option("--channel", help="The channel it is about.")]


def register(app: typer.Typer, *, key: Callable[[], bytes | None], who: Callable[[], str]) -> None:
    """Add the verbs to the command line; `key` and `who` read the environment when they run."""

    @app.command("import")
    def import_(
        kind: Annotated[str, typer.Argument(help="apidocs, beir, parquet or marks.")],
        path: Annotated[
            str | None,
            typer.Option(
                help="The folder, for beir and parquet; for parquet also s3://…; for marks the "
                "file that a review page downloaded."
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Fill the source folder with a catalogue, labels and, from parquet, a log.

        Or add to its labels what a person marked on a review page.
        """
        from perennial.verbs.source import import_source

        params, places, began = _params(), Places.from_environment(), time.monotonic()
        if kind == "marks":
            _import_marks(path, places.source, as_json)
            return
        rows = import_source(
            kind,
            path=path,
            to=places.source,
            updated_at=datetime.fromisoformat(params.simulate.start),
            columns=params.source.columns,
            held_out_share=params.split.held_out_share,
            salt=params.split.salt,
        )
        _tell(
            as_json,
            {"rows": rows, "source": str(places.source)},
            f"imported {_counted(rows)} into {places.source} in {time.monotonic() - began:.1f} s",
        )

    @app.command()
    def bootstrap(
        encoder: Annotated[
            str | None, typer.Option(help="A SentenceTransformer folder or hub id; default: ours.")
        ] = None,
        channel: ChannelName = "production",
        as_json: Json = False,
    ) -> None:
        """Publish a first champion, so that there is something to search and to compare with."""
        from perennial.verbs.bootstrap import bootstrap as make_first
        from perennial.verbs.source import read_catalogue

        params, places, began = _params(), Places.from_environment(), time.monotonic()
        manifest = make_first(
            catalogue=read_catalogue(places.source),
            params=params,
            store=open_store(places.store),
            channel=channel,
            encoder=encoder,
            now=datetime.now(UTC),
            who=who(),
            key=key(),
            vectors=places.cache / "vectors",
            say=(lambda line: None) if as_json else print,
        )
        _tell(
            as_json,
            {"release_id": manifest.release_id, "channel": channel},
            f"{channel} serves {manifest.release_id}: {manifest.catalogue.documents} documents, "
            f"made in {time.monotonic() - began:.1f} s",
        )

    @app.command()
    def simulate(
        on: Annotated[
            str,
            typer.Option(help="lexical (BM25), a channel's name, or a service: http://host:port."),
        ] = "lexical",
        sessions: Annotated[int | None, typer.Option(help="Default: simulate.sessions.")] = None,
        as_json: Json = False,
    ) -> None:
        """Let simulated people search, and append what a service would log."""
        from perennial.serving.searcher import Searcher
        from perennial.simulation.searches import LEXICAL, lexical_search, release_search
        from perennial.verbs.simulate import simulate
        from perennial.verbs.source import read_catalogue

        params, places = _params(), Places.from_environment()
        section = params.simulate
        if sessions is not None:
            if sessions < 1:
                raise BadInput(f"--sessions is {sessions}; let at least 1 person search")
            section = section.model_copy(update={"sessions": sessions})
        if on.startswith(("http://", "https://")):
            from perennial.verbs.visiting import visit_service, visits_in_words

            visits = visit_service(on, places, section=section, seed=section.seed)
            _tell(as_json, {"url": on} | asdict(visits), visits_in_words(on, visits))
            return
        if on == "lexical":
            search = lexical_search(read_catalogue(places.source))
            release_id, channel = LEXICAL, "production"
        else:
            searcher = Searcher.open(open_store(places.store), on, places.cache, math.inf, key())
            search, release_id = release_search(searcher.release), searcher.release.release_id
            channel = on
        log = simulate(
            places.source, search, section=section, channel=channel, release_id=release_id
        )
        rows = {
            "requests": len(log.requests),
            "impressions": len(log.impressions),
            "clicks": int((log.events["type"] == "click").sum()),
        }
        _tell(
            as_json,
            {"rows": rows, "release_id": release_id},
            f"logged {_counted(rows)} of simulated people on {release_id}",
        )

    @app.command()
    def snapshot(channel: ChannelName = "production", as_json: Json = False) -> None:
        """Freeze the log, the catalogue and the champion into ./snapshot, for `dvc repro`."""
        from perennial.verbs.forgetting.making import making
        from perennial.verbs.snapshot import take_snapshot

        params, places = _params(), Places.from_environment()
        with making(Path.cwd()):
            info = take_snapshot(
                places.source,
                open_store(places.store),
                channel,
                Path("snapshot").absolute(),
                params=params.snapshot,
                key=key(),
                session_key=session_key(),
            )
        value = {"digest": info.digest, "champion": info.champion, "rows": info.rows}
        _tell(
            as_json,
            value
            | {"dropped": info.dropped, "redacted": info.redacted}
            | {"rare": asdict(info.rare), "events": asdict(info.events)}
            | {"sessions": info.sessions},
            f"snapshot {info.digest[7:19]} of {_counted(info.rows)}, {info.start:%Y-%m-%d} to "
            f"{info.end:%Y-%m-%d}; the champion is {info.champion}. "
            + "".join(f"{said}. " for said in (info.left_out, info.made_anonymous) if said)
            + "Next: dvc repro",
        )

    @app.command()
    def accept(channel: ChannelName = "production", as_json: Json = False) -> None:
        """Remember the log that validate accepted here: the next snapshot is compared with it."""
        from perennial.verbs.accept import accept_log

        store = open_store(Places.from_environment().store)
        done = accept_log(Workspace(Path.cwd()), store, channel)
        _tell(as_json, asdict(done), done.sentence)


def _import_marks(path: str | None, source: Path, as_json: bool) -> None:
    from perennial.verbs.marks import import_marks

    if path is None:
        raise BadInput("marks need their file: perennial import marks --path FILE")
    taken = import_marks(Path(path), source=source, now=datetime.now(UTC))
    _tell(as_json, asdict(taken), taken.sentence)


def _params() -> Params:
    return load_params(Path("params.yaml"))


def _counted(rows: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in rows.items())


def _tell(as_json: bool, value: dict[str, Any], sentence: str) -> None:
    print(json.dumps({"format_version": 1} | value, sort_keys=True) if as_json else sentence)
