"""Every refusal is a sentence in JSON; what went wrong inside stays inside."""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from perennial.errors import BadInput, PerennialError
from perennial.serving.batcher import Overloaded
from perennial.serving.http.events import Foreign, LogFull
from perennial.serving.http.metrics import Metrics


def refuse_by_sentences(app: FastAPI, metrics: Metrics) -> None:
    """Answer what the routes raise, and count it."""

    def refuse(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
        metrics.failed(status)
        return Response(
            to_json({"error": sentence}), status, headers, media_type="application/json"
        )

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return refuse(422, f"{place}: {first['msg'].lower()}; see /openapi.json")

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return refuse(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(PerennialError)
    async def ours(_: Request, error: PerennialError) -> Response:
        return refuse(422 if isinstance(error, BadInput) else 503, str(error))

    @app.exception_handler(Foreign)
    async def foreign(_: Request, error: Foreign) -> Response:
        return refuse(403, str(error))

    @app.exception_handler(LogFull)
    async def full(_: Request, error: LogFull) -> Response:
        return refuse(503, str(error), {"Retry-After": "1"})

    @app.exception_handler(Overloaded)
    async def overloaded(_: Request, error: Overloaded) -> Response:
        return refuse(
            503, "too many queries wait already; ask again in a second", {"Retry-After": "1"}
        )
