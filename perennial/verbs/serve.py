"""`perennial serve`: the search service of one channel, as a process."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from perennial.release.stores.open import open_store
from perennial.workspace import Places, access_keys, events_key, hosts, runtime

_MIRROR_SECONDS = 60.0  # at most, until a look at a shadow can read what its mirror compared


def register_serve(app: typer.Typer, *, key: Callable[[], bytes | None]) -> None:
    """Add the verb to the command line; `key` reads the environment when it runs."""

    @app.command()
    def serve(
        host: Annotated[str, typer.Option(help="Beyond 127.0.0.1 it demands keys.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = 8080,
        channel: Annotated[
            str, typer.Option("--channel", help="The channel whose releases answer.")
        ] = "production",
    ) -> None:
        """Answer searches over HTTP, and log what was shown, until SIGTERM."""
        run_service(Places.from_environment(), host=host, port=port, channel=channel, key=key())


def run_service(places: Places, *, host: str, port: int, channel: str, key: bytes | None) -> None:
    """Open searcher and log, and serve; raises BadInput, PlaceUnusable, IntegrityError."""
    import os
    import secrets
    from datetime import UTC, datetime
    from random import Random

    from perennial.params.reading import load_params
    from perennial.serving.http.app import create_app
    from perennial.serving.http.hosts import Hosts
    from perennial.serving.http.keys import AccessKeys, check_exposure
    from perennial.serving.http.server import listen
    from perennial.serving.log.writer import LogWriter
    from perennial.serving.searcher import Searcher

    keys, mac_key = AccessKeys(access_keys()), events_key()
    check_exposure(host, keys=keys, has_events_key=mac_key is not None)
    params = load_params(Path("params.yaml"))
    section = params.serve
    searcher = Searcher.open(
        open_store(places.store),
        channel,
        places.cache,
        key=key,
        runtime=runtime(),
        fuse=section.fuse,
    )
    log = LogWriter(
        places.source,
        capacity=section.log_queue,
        flush_seconds=section.log_flush_seconds,
        rotate_seconds=section.log_rotate_seconds,
        rotate_rows=section.log_rotate_rows,
    )
    if mac_key is None:
        print(
            "PERENNIAL_EVENTS_KEY is not set: events are taken for answers of this process only",
            file=sys.stderr,
        )
    app = create_app(
        searcher,
        log,
        channel=channel,
        source=places.source,
        keys=keys,
        hosts=Hosts(host, hosts()),
        events_key=mac_key or secrets.token_bytes(32),
        explore=section.explore,
        max_queries=section.max_queries,
        max_k=section.max_k,
        max_query_characters=section.max_query_characters,
        max_body_bytes=section.max_body_bytes,
        max_dwell_seconds=params.validate_.max_dwell_seconds,
        rate_per_second=section.rate_per_second,
        rate_burst=section.rate_burst,
        batch_queries=section.batch_queries,
        batch_wait_ms=section.batch_wait_ms,
        max_waiting=section.max_waiting,
        search_threads=section.search_threads,
        mirror_seconds=min(section.log_rotate_seconds, _MIRROR_SECONDS),
        now=lambda: datetime.now(UTC),
        random=Random(),  # noqa: S311  what it draws is no secret
        environment=os.environ,
    )

    def say(address: str) -> None:
        release = searcher.release.release_id
        print(f"{channel} ({release}) answers at {address}", flush=True)

    listen(
        app,
        host=host,
        port=port,
        max_connections=section.max_connections,
        unready_seconds=section.unready_seconds,
        drain_seconds=section.drain_seconds,
        say=say,
    )
    if searcher.is_looking:
        # All is written. The interpreter would wait for a store that answers no more.
        sys.stdout.flush()
        os._exit(0)
