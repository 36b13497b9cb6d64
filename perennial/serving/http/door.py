"""The door: asks for a key, reads the body up to a bound, and lets nothing else in."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from perennial.serving.http.hosts import Hosts
from perennial.serving.http.keys import AccessKeys

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a probe or a person's browser opens first; nothing of the catalogue is in them.
OPEN_PATHS = frozenset({"/", "/page.css", "/page.js", "/healthz", "/readyz"})
_BODY_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Door:
    """ASGI middleware; puts the asker's name into the scope's state. Plain ASGI, because
    Starlette's own base class costs every answer a task of its own."""

    def __init__(
        self,
        app: App,
        *,
        keys: AccessKeys,
        hosts: Hosts,
        max_body_bytes: int,
        refused: Callable[[int], None],
    ) -> None:
        self._app, self._keys, self._max_body_bytes = app, keys, max_body_bytes
        self._hosts, self._refused = hosts, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host")
        if not self._hosts.allow(host):
            await self._refuse(send, 421, self._hosts.sentence(host))
            return
        asker = self._asker(scope, headers)
        if asker is None:
            sentence = "no valid access key; send the header `Authorization: Bearer KEY`"
            await self._refuse(send, 401, sentence, ((b"www-authenticate", b"Bearer"),))
            return
        scope.setdefault("state", {})["asker"] = asker
        try:
            # Where no key is asked for nothing is sent, either.
            is_open = scope["path"] in OPEN_PATHS
            body = b"" if is_open else await self._body(headers, receive)
        except ConnectionAbortedError:  # half a body is nobody's question
            return
        except TimeoutError:
            await self._refuse(
                send, 408, f"no whole body within {_BODY_SECONDS:g} s; send it again"
            )
            return
        if body is None:
            sentence = f"the body is larger than {self._max_body_bytes} bytes; send less at once"
            await self._refuse(send, 413, sentence)
            return
        sent, is_started = False, False

        async def replay() -> MutableMapping[str, Any]:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self._app(scope, replay, watched)
        except Exception:
            # Its words could hold what was asked; they stay in this process's own log.
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if is_started:
                raise
            await self._refuse(send, 500, "the service failed on this; look into its log")

    def _asker(self, scope: Scope, headers: dict[bytes, bytes]) -> str | None:
        client = scope.get("client")
        address = client[0] if client else "somebody"
        if not len(self._keys) or scope["path"] in OPEN_PATHS:
            return str(address)
        scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return self._keys.owner(key.strip()) if scheme.lower() == "bearer" else None

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The whole body; None where it is too large, and then not a byte more is kept."""
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._max_body_bytes:
            return None
        parts: list[bytes] = []
        size, more = 0, True
        async with asyncio.timeout(_BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionAbortedError
                part = message.get("body", b"")
                size, more = size + len(part), message.get("more_body", False)
                if size > self._max_body_bytes:
                    return None
                parts.append(part)
        return b"".join(parts)

    async def _refuse(
        self, send: Send, status: int, sentence: str, more: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        self._refused(status)
        body = json.dumps({"error": sentence}).encode()
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
