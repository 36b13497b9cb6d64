"""A small real S3-like server that keeps objects and ignores conditions, as some products do."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Careless:
    """`ignores` names the conditions that it does not honour; the rest it does."""

    ignores: frozenset[str]
    endpoint: str = ""
    bare_tags: bool = False  # it understands ETags without their quotes only
    objects: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def careless(*ignores: str, bare_tags: bool = False) -> Iterator[Careless]:
    """The server on a free port; it signs nobody in and nobody out."""
    state = Careless(frozenset(ignores), bare_tags=bare_tags)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.may_write():
                self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            state.objects[self.path] = data
            self.answer(200, b"", tag(data))

        def may_write(self) -> bool:
            there = state.objects.get(self.path)
            if "If-None-Match" not in state.ignores and self.headers["If-None-Match"] == "*":
                return there is None
            wanted = self.headers["If-Match"]
            if "If-Match" not in state.ignores and wanted is not None:
                return there is not None and wanted == tag(there).strip(
                    '"' if state.bare_tags else ""
                )
            return True

        def do_GET(self) -> None:
            data = state.objects.get(self.path)
            if self.path.endswith("?versioning"):
                self.answer(200, b"<VersioningConfiguration/>")
            elif data is None:
                self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                self.answer(200, data, tag(data))

        def do_DELETE(self) -> None:
            state.objects.pop(self.path, None)
            self.answer(204, b"")

        def answer(self, status: int, data: bytes, etag: str = "") -> None:
            self.send_response_only(status)
            if etag:
                self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    state.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'
