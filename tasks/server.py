"""A Prefect server of our own for as long as a program runs, started while it does other things."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.errors import Refused
from tasks import guard

START_SECONDS = 180.0
DRAIN_SECONDS = 10.0
API = "PREFECT_API_URL"


@contextmanager
def prefect_server(log: Path) -> Iterator[Callable[[], None]]:
    """Yields a function that waits until flows can run. Where PREFECT_API_URL names a server, that
    one is used; ours keeps its history under PREFECT_HOME. Enter it before `prefect` is imported,
    which reads the address then."""
    if os.environ.get(API):
        yield lambda: None
        return
    port = _free_port()
    os.environ[API] = f"http://127.0.0.1:{port}/api"
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    command = [sys.executable, "-m", "prefect", "server", "start", *options]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield lambda: _wait(server, f"{os.environ[API]}/health", log)
    finally:
        _send_what_is_queued()
        assert server.stdin is not None
        server.stdin.close()  # the guard then ends the whole group
        server.wait()
        del os.environ[API]


def _wait(server: "subprocess.Popen[bytes]", health: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise Refused(f"Prefect's server did not start; read {log}, then start again to continue.")


def _send_what_is_queued() -> None:
    """Prefect's client would retry for over a minute at exit, against a server that is gone."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=DRAIN_SECONDS)
    EventsWorker.drain_all(timeout=DRAIN_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
