"""The process: listens, says where, and on SIGTERM answers what it has before it ends."""

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from perennial.errors import BadInput
from perennial.serving.http.protocol import BoundedProtocol
from perennial.serving.priority import put_queries_first


def listen(
    app: FastAPI,
    *,
    host: str,
    port: int,
    max_connections: int,
    unready_seconds: float,
    drain_seconds: float,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; raises BadInput where the address is taken.

    `say` is told the address once it answers: with port 0 the system chose one. After SIGTERM it is
    unready for `unready_seconds` before it takes no more connections.
    """
    bounded: Any = partial(
        BoundedProtocol, max_connections=max_connections, refused=app.state.refused
    )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=bounded,
        log_config=None,
        access_log=False,  # it would hold nothing that the log does not, and cost every answer
        server_header=False,
        proxy_headers=False,  # an address that the asker chose would be another asker's rate
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=max(1, round(drain_seconds)),
    )
    with _bound(host, port) as listening:
        _Server(config, app, say, unready_seconds=unready_seconds).run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        app: FastAPI,
        say: Callable[[str], None],
        *,
        unready_seconds: float,
    ) -> None:
        super().__init__(config)
        self._app, self._say, self._unready_seconds = app, say, unready_seconds
        self._is_hurried = False  # somebody at a terminal, not a load balancer's machine

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        put_queries_first()
        for listening in sockets or []:
            host, port = listening.getsockname()[:2]
            self._say(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer on while whoever sends the traffic finds out by `/readyz`, then end."""
        until = time.monotonic() + self._unready_seconds
        while not self._is_hurried and time.monotonic() < until:
            await asyncio.sleep(min(0.1, self._unready_seconds))
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.draining = True
        self._is_hurried = self._is_hurried or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own raises the signal once more when all is done: a drain that went well would
        end as a failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise BadInput(
            f"{host}:{port} cannot be listened on ({error.strerror or error}); choose another "
            "--host or --port"
        ) from error
    return listening
