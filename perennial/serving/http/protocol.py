"""HTTP/1.1 as uvicorn and httptools read it, with bounds on what comes before any key is asked for.

uvicorn bounds neither a request's head nor the time it takes, and httptools keeps a header until it
ends.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MOST_HEAD_BYTES = 32_768
SECONDS = 10.0  # for a head; for the rest of a body that was refused; for a first byte
_PLAIN = "this is no HTTP request; send one of HTTP/1.1"


class _TooLarge(Exception):
    """The head has more bytes than are read of one."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection; those beyond `max_connections` are told to come again."""

    def __init__(
        self,
        *arguments: Any,
        max_connections: int,
        refused: Callable[[int], None],
        seconds: float = SECONDS,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._max_connections, self._refused, self._seconds = max_connections, refused, seconds
        self._is_within = False  # a message has begun and has not ended
        self._is_head = True
        self._head_bytes = 0
        self._unread_bytes = 0  # came since the last that httptools told of
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._max_connections:
            self._refuse(503, "too many connections; come again in a second")
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unread_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unread_bytes > MOST_HEAD_BYTES:
            self._refuse_head()
        elif not self._is_within:
            self._stop_timer()
        elif self._timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        self._is_within = self._is_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_head, self._unread_bytes = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_within, self._unread_bytes = False, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for whatever httptools could not read, and what our counting ended."""
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse_head()
        else:
            self._refuse(400, _PLAIN)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MOST_HEAD_BYTES:
            raise _TooLarge

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._seconds, self._is_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._is_within and self._is_head:
            self._refuse(
                408, f"no whole head of a request within {self._seconds:g} s; send it again"
            )
        elif self._is_within and not self.cycle.response_complete:
            self._start_timer()  # the door has a clock for bodies, and a sentence
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        self._refuse(431, f"the request's head is larger than {MOST_HEAD_BYTES} bytes; send less")

    def _refuse(self, status: int, sentence: str) -> None:
        self._refused(status)
        body = json.dumps({"error": sentence}).encode()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()
