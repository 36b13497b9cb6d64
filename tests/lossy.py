"""A real proxy before an S3 server that loses requests and answers, as networks do."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

PASS = "pass"
LOSE_REQUEST, LOSE_ANSWER = "lose the request", "lose the answer"
FAIL, FAIL_AFTER = "answer 500 for the server", "answer 500 though the server acted"
STALL = "let the server act, then say nothing for long"
CUT = "send half of the answer's body"


@dataclass(frozen=True)
class Request:
    """What the proxy decides by; `number` counts from 1."""

    number: int
    method: str
    path: str


@dataclass
class Lossy:
    """`fault(request)` says what happens to it; `seen` is every request so far."""

    endpoint: str
    fault: Callable[[Request], str]
    seen: list[Request]
    stall_seconds: float = 12.0

    def once(self, fault: str, method: str, part: str) -> None:
        """The next request of the method, with that part in its path, meets the fault."""
        self.times(1, fault, method, part)

    def times(self, count: int, fault: str, method: str, part: str) -> None:
        """The next `count` ones do."""
        left = iter(range(count))

        def decide(request: Request) -> str:
            if request.method == method and part in request.path and next(left, None) is not None:
                return fault
            return PASS

        self.fault = decide


def patience(asking: pytest.FixtureRequest) -> float:
    """The seconds that a client waits: those of a slow machine; fewer where it meets STALL."""
    parameters = getattr(asking.node, "callspec", None)
    return 4.0 if parameters and STALL in parameters.params.values() else 30.0


@contextmanager
def lossy(backend: str) -> Iterator[Lossy]:
    """The proxy before `backend`, on a free port; it passes everything until told otherwise."""
    target = urlsplit(backend)
    proxy = Lossy("", lambda request: PASS, [])
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            with counting:
                request = Request(len(proxy.seen) + 1, self.command, self.path)
                proxy.seen.append(request)
            fault = proxy.fault(request)
            if fault == LOSE_REQUEST:
                self.close_connection = True
                return
            if fault == FAIL:
                self.answer(500, {}, b"")
                return
            status, headers, data = self.ask(body)
            if fault == STALL:
                time.sleep(proxy.stall_seconds)
            if fault in (STALL, LOSE_ANSWER):
                self.close_connection = True
            elif fault == FAIL_AFTER:
                self.answer(500, {}, b"")
            elif fault == CUT:
                self.answer(status, headers, data, cut=True)
            else:
                self.answer(status, headers, data)

        def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
            try:
                connection.request(self.command, self.path, body=body, headers=headers)
                answer = connection.getresponse()
                data = answer.read()
                return answer.status, dict(answer.getheaders()), data
            finally:
                connection.close()

        def answer(
            self, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False
        ) -> None:
            self.send_response_only(status)
            length = len(data)
            for name, value in headers.items():
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = int(value)
                elif name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(data[: length // 2] if cut else data)
            self.close_connection = self.close_connection or cut

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client gave up
                super().handle()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
