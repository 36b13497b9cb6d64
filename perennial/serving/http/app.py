"""The routes: what is asked, and by which sentence it is refused."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from perennial.serving.batcher import Batcher
from perennial.serving.http.answers import answer_of, check_size, read_search
from perennial.serving.http.bodies import Events as EventsBody
from perennial.serving.http.bodies import Found, Problem, Search, Taken
from perennial.serving.http.door import Door
from perennial.serving.http.events import Events
from perennial.serving.http.hosts import Hosts
from perennial.serving.http.keys import AccessKeys
from perennial.serving.http.metrics import Metrics
from perennial.serving.http.page import add_page
from perennial.serving.http.rates import Rates
from perennial.serving.http.releases import told
from perennial.serving.http.sentences import refuse_by_sentences
from perennial.serving.http.tracing import Spans
from perennial.serving.log.writer import LogWriter
from perennial.serving.mirrored import MirroredFiles
from perennial.serving.searcher import Searcher
from perennial.serving.service import Service
from perennial.serving.shadowing import Shadowing
from perennial.serving.tickets import Tickets
from perennial.serving.titles import Titles

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 408, 413, 421, 422, 429, 431, 500, 503)
}
_SEARCH = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Search.model_json_schema()}},
    }
}
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def create_app(
    searcher: Searcher,
    log: LogWriter,
    *,
    channel: str,
    source: Path,
    keys: AccessKeys,
    hosts: Hosts,
    events_key: bytes,
    explore: float,
    max_queries: int,
    max_k: int,
    max_query_characters: int,
    max_body_bytes: int,
    max_dwell_seconds: float,
    rate_per_second: float,
    rate_burst: int,
    batch_queries: int,
    batch_wait_ms: float,
    max_waiting: int,
    search_threads: int,
    mirror_seconds: float,
    now: Callable[[], datetime],
    random: Random,
    environment: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The application around an open searcher and log; closes both when it ends."""
    tickets, spans = Tickets(events_key), Spans.from_environment(environment)
    metrics = Metrics(searcher, log, channel=channel, now=now)
    rates = Rates(per_second=rate_per_second, burst=rate_burst, clock=clock)
    events = Events(log, tickets=tickets, now=now, max_dwell_seconds=max_dwell_seconds)
    titles = Titles(source / "catalogue.parquet")
    shadowing = Shadowing(MirroredFiles(source / "mirrored"), keep_seconds=mirror_seconds)
    running: list[Service] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher = Batcher(
            searcher.take,
            batch_queries=batch_queries,
            wait_seconds=batch_wait_ms / 1e3,
            max_waiting=max_waiting,
            threads=search_threads,
        )
        running.append(
            Service(
                searcher,
                log,
                batcher,
                channel=channel,
                tickets=tickets,
                explore_share=explore,
                random=random,
                now=now,
                shadowing=shadowing,
            )
        )
        yield
        app.state.draining = True
        await asyncio.to_thread(batcher.close)
        await asyncio.to_thread(shadowing.close)
        await asyncio.to_thread(log.close)
        await asyncio.to_thread(searcher.close)
        await asyncio.to_thread(titles.close)
        if spans is not None:
            spans.close()

    app = FastAPI(title="Perennial", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.draining, app.state.refused = False, metrics.failed
    app.add_middleware(
        Door, keys=keys, hosts=hosts, max_body_bytes=max_body_bytes, refused=metrics.failed
    )

    def charge(request: Request, queries: int) -> None:
        wait = rates.wait_seconds(request.state.asker, queries)
        if wait > 0:
            raise HTTPException(
                429,
                f"more than {rate_per_second:g} queries a second; ask again in {wait:.2g} s",
                {"Retry-After": str(int(wait) + 1)},
            )

    # Read here and not by FastAPI, which takes longer for it than the search does.
    @app.post("/search", response_model=Found, responses=_REFUSALS, openapi_extra=_SEARCH)
    async def search(request: Request) -> Response:
        """The nearest documents of one or many queries; every answer names release and arm."""
        body = read_search(await request.body(), request.headers.get("content-type", ""))
        queries = [body.query] if isinstance(body.query, str) else body.query
        check_size(queries, body.k, max_queries, max_k, max_query_characters)
        charge(request, len(queries))
        session_id = body.session_id or secrets.token_hex(16)
        service = running[0]
        if body.arm is not None:
            searched = await service.compare(queries, body.k, slice=body.slice, arm=body.arm)
        else:
            searched = await service.search(
                queries, body.k, slice=body.slice, session_id=session_id
            )
            metrics.searched(searched)
        if spans is not None:
            spans.searched(searched, headers=request.headers, k=body.k)
        told = None
        if body.titles:
            wanted = [doc_id for each in searched.shown for doc_id in each.doc_ids]
            told = await asyncio.to_thread(titles.of, wanted)
        answer = answer_of(searched, channel=channel, session_id=session_id, titles=told)
        return Response(answer, media_type="application/json")

    @app.post("/events", response_model=Taken, responses=_REFUSALS)
    async def take_events(body: EventsBody, request: Request) -> Taken:
        """What people did with hits: clicks, how long they stayed, what they came for.

        Those that cannot be of an answer of ours are left out; 403 or 422 where all are.
        """
        charge(request, len(body.events))
        return events.take(body.events)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """That the process runs."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"model": Problem}})
    async def readyz(response: Response) -> dict[str, str]:
        """That it may be asked: not before its release is loaded, and not while it drains."""
        if app.state.draining or not running:
            response.status_code = 503
            return {"error": "the service is ending; ask another one"}
        return {"status": "ready", "release_id": searcher.release.release_id}

    @app.get("/releases", responses={401: {"model": Problem}})
    async def releases() -> dict[str, Any]:
        """What is served: stable and, during a rollout, the candidate with its share."""
        return told(searcher, channel=channel, now=now())

    @app.get("/metrics", response_class=Response, responses={401: {"model": Problem}})
    async def scrape() -> Response:
        """The numbers for Prometheus."""
        return Response(metrics.page(), media_type=_TEXT)

    add_page(app)
    refuse_by_sentences(app, metrics)
    return app
