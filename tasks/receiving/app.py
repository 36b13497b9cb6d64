"""The receiver over HTTP: one route that takes deliveries, and what probes and Prometheus ask."""

import asyncio
import logging
import time
from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.exceptions import HTTPException

from perennial.errors import BadInput
from perennial.serving.http.door import Door
from perennial.serving.http.hosts import Hosts
from perennial.serving.http.keys import AccessKeys
from tasks.receiving.decide import Answer, Receiver, StarterAway

MOST_WAITING = 64  # decisions that wait for one another, or for Prefect
_AWAY_SECONDS = 30
_STRANGERS_SECONDS = 1.0  # between two lines about deliveries that nobody signed
_log = logging.getLogger(__name__)


def create_app(
    receiver: Receiver,
    *,
    hosts: Hosts,
    max_body_bytes: int,
    heard: Callable[[str, bytes], None] = lambda source, body: None,
) -> FastAPI:
    """The app; `heard` is told of every delivery of MLflow's registry that is believed."""
    registry, waiting = CollectorRegistry(), asyncio.Semaphore(MOST_WAITING)
    flooded = _Quiet(_STRANGERS_SECONDS)
    counter = Counter(
        "perennial_triggers",
        "Deliveries by deployment, source and what came of them",
        ["deployment", "source", "outcome"],
        registry=registry,
    )
    app = FastAPI(title="Perennial's webhook receiver", docs_url=None, redoc_url=None)
    app.state.draining = False

    def refused(status: int) -> None:
        counter.labels("", "", f"refused_{status}").inc()

    app.state.refused = refused
    app.add_middleware(
        Door,  # type: ignore[arg-type]
        keys=AccessKeys(()),  # a delivery proves who sent it
        hosts=hosts,
        max_body_bytes=max_body_bytes,
        refused=refused,
    )

    @app.post("/triggers/{deployment}")
    async def take(deployment: str, request: Request) -> Response:
        """202 with the run that it started; else why not, in a sentence."""
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            answer = receiver.read(deployment, headers, body)
        except BadInput as error:  # the file of secrets
            _log.error("%s", error)
            answer = Answer(
                503, "no_secrets", "the receiver cannot read its secrets; look into its log"
            )
        if not isinstance(answer, Answer):
            sender, said = answer
            if "x-mlflow-signature" in headers:
                await asyncio.to_thread(heard, sender.source, body)
            if waiting.locked():
                answer = Answer(503, "crowded", "too many deliveries wait; send it again later")
            else:
                async with waiting:
                    answer = await asyncio.to_thread(
                        _decided, receiver, deployment, sender, said, body
                    )
        return _told(deployment if deployment in receiver.rules else "", answer)

    def _told(deployment: str, answer: Answer) -> Response:
        counter.labels(deployment, answer.source, answer.outcome).inc()
        if answer.source or not flooded():  # strangers do not fill our disk
            level = logging.INFO if answer.status < 300 else logging.WARNING
            _log.log(level, "%s from %s: %s", answer.outcome, answer.source or "?", answer.why)
        retry = _AWAY_SECONDS if answer.status == 503 else answer.retry_after
        headers = None if retry is None else {"Retry-After": str(retry)}
        said = {"outcome": answer.outcome, "why": answer.why, "run": answer.run}
        return JSONResponse(said, answer.status, headers)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """That the process runs."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> Response:
        """That it takes deliveries: its secrets can be read, and it does not drain."""
        try:
            receiver.secrets.pairs()
        except BadInput:
            return JSONResponse({"error": "the file of secrets cannot be read"}, 503)
        if app.state.draining:
            return JSONResponse({"error": "the receiver is ending"}, 503)
        return JSONResponse({"status": "ready"})

    @app.get("/metrics")
    async def scrape() -> Response:
        """The counts for Prometheus."""
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    return app


class _Quiet:
    """Says whether a line was written less than some seconds ago."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._next = seconds, 0.0

    def __call__(self) -> bool:
        if (now := time.monotonic()) < self._next:
            return True
        self._next = now + self._seconds
        return False


def _decided(receiver: Receiver, deployment: str, *read: object) -> Answer:
    try:
        return receiver.decide(deployment, *read)  # type: ignore[arg-type]
    except StarterAway as error:
        return Answer(503, "away", str(error), source=read[0].source)  # type: ignore[attr-defined]
