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
MOST_WAITING = 16  # requests that came on one connection before the answer to an earlier one
SECONDS = 10.0  # for a head; the rest of a refused body; a first byte; to read an answer
_PLAIN = "this is no HTTP request; send one of HTTP/1.1"


class _TooLarge(Exception):
    """More came than is read: of one head, or of requests that wait."""


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
        self._unread_timer: asyncio.TimerHandle | None = None  # for whoever reads no answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        # So that we are told of whatever is not read, also of what is too little to be held back.
        self.transport.set_write_buffer_limits(high=0)
        if len(self.connections) > self._max_connections:
            self._refuse(503, "too many connections; come again in a second")
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(self._seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_unread_timer()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        self._unread_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unread_bytes > MOST_HEAD_BYTES:
            self._refuse_head()
        elif self._timer is None and (self._is_within or self._is_answered()):
            self._start_timer()  # uvicorn's own, between requests, is stopped by any byte

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_WAITING:
            raise _TooLarge
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
        self._stop_timer()
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

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _is_answered(self) -> bool:
        """Whether the last request whose head came is answered; so are then all before it."""
        return self.cycle is None or self.cycle.response_complete

    def _is_our_turn(self) -> bool:
        """Whether what is written now is taken for the answer to what is being read."""
        if self._is_within and not self._is_head:
            return not self.pipeline and not self.cycle.response_started
        return self._is_answered()

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
        if self._is_our_turn():
            body = json.dumps({"error": sentence}).encode()
            head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
            close = b"connection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head + close + body)
        self.transport.close()
