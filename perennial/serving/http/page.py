"""The page at `/`: search with champion and candidate side by side, for people."""

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

from fastapi import FastAPI, Response

_HERE = Path(__file__).parent / "page"
_KINDS = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
# Nothing from elsewhere, no code inside the page: what a document says cannot run here.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_page(app: FastAPI) -> None:
    """Add `/` and its two files to the application; no key is asked for them."""
    for name in _KINDS:
        path = "/" if name == "page.html" else f"/{name}"
        app.add_api_route(path, _answer(name), include_in_schema=False)


def _answer(name: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return Response(_read(name), media_type=_KINDS[name], headers=_HEADERS)

    return answer


@cache
def _read(name: str) -> bytes:
    return (_HERE / name).read_bytes()
