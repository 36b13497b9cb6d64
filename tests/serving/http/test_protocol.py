"""What comes before a key is asked for has bounds: bytes, seconds, connections."""

import asyncio
import contextlib
import json
import signal
from functools import partial

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from perennial.serving.http.protocol import MOST_HEAD_BYTES, MOST_WAITING, BoundedProtocol
from perennial.serving.http.server import _Server

SECONDS = 0.1
ASK = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\nword"


async def echo(scope, receive, send):
    """Answers with the body that came."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    length = str(len(body)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def served():
    """`served(conversation)`: what a coroutine that is given a way to connect returns."""
    refused = []

    def served(conversation, *, max_connections=50, app=echo, seconds=60.0):
        async def run():
            bounded = partial(
                BoundedProtocol,
                max_connections=max_connections,
                refused=refused.append,
                seconds=seconds,
            )
            config = uvicorn.Config(
                app, http=bounded, log_config=None, lifespan="off", ws="none", port=0
            )
            server = uvicorn.Server(config)
            config.load()
            server.lifespan = config.lifespan_class(config)
            await server.startup()
            port = server.servers[0].sockets[0].getsockname()[1]
            try:
                return await asyncio.wait_for(
                    conversation(lambda: asyncio.open_connection("127.0.0.1", port)), 20
                )
            finally:
                server.force_exit = True
                await server.shutdown()

        return asyncio.run(run())

    served.refused = refused
    return served


def says(*parts, pause=0.0):
    """A conversation: the parts are sent one after the other, then all is read."""

    async def conversation(connect):
        reader, writer = await connect()
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)
        told = await reader.read()
        writer.close()
        await writer.wait_closed()
        return told

    return conversation


def refusal(told):
    head, _, body = told.partition(b"\r\n\r\n")
    assert set(json.loads(body)) == {"error"} and b"connection: close" in head
    return int(head.split()[1])


BEGUN = b"POST / HTTP/1.1\r\nhost: localhost\r\n"
LARGE = b"x" * (MOST_HEAD_BYTES + 1)


@pytest.mark.parametrize(
    "parts",
    [
        [BEGUN + b"name: " + LARGE + b"\r\n\r\n"],
        [BEGUN + b"name: ", LARGE[:20_000], LARGE[20_000:]],  # a header that never ends
        [BEGUN, *[b"name: " + LARGE[:9_000] + b"\r\n"] * 4],
        [b"GET /" + LARGE + b" HTTP/1.1\r\n\r\n"],
        [BEGUN + b"transfer-encoding: chunked\r\n\r\n1;", LARGE],
    ],
)
def test_a_head_without_end_is_refused(served, parts):
    assert refusal(served(says(*parts, pause=0.01))) == 431
    assert served.refused == [431]


def test_a_head_that_does_not_come_is_refused_and_a_silent_connection_closed(served):
    assert refusal(served(says(BEGUN), seconds=SECONDS)) == 408
    assert served(says(), seconds=SECONDS) == b""
    assert served.refused == [408]


def test_what_is_no_request_is_refused_by_a_sentence(served):
    assert refusal(served(says(b"\x16\x03\x01 hello\r\n\r\n"))) == 400


def test_who_was_refused_early_does_not_keep_the_connection_by_a_slow_body(served):
    async def refuse(scope, receive, send):
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def conversation(connect):
        reader, writer = await connect()
        writer.write(BEGUN + b"content-length: 1000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b"x")
            await asyncio.sleep(0.01)
            await asyncio.wait_for(reader.read(1000), 5)
        writer.close()
        await writer.wait_closed()
        return True

    assert served(conversation, app=refuse, seconds=SECONDS)


def test_one_connection_too_many_is_told_to_come_again(served):
    async def conversation(connect):
        lines = [await connect() for _ in range(3)]
        told = await lines[2][0].read()
        lines[0][1].write(ASK)
        kept = await lines[0][0].readuntil(b"word")
        for _, writer in lines:
            writer.close()
            await writer.wait_closed()
        return told, kept

    told, kept = served(conversation, max_connections=2)
    assert refusal(told) == 503 and kept.startswith(b"HTTP/1.1 200")


def test_bodies_may_come_slowly_and_several_on_one_connection(served):
    async def conversation(connect):
        reader, writer = await connect()
        for _ in range(2):
            writer.write(ASK[:-4])
            for letter in b"word":
                await asyncio.sleep(SECONDS / 2)
                writer.write(bytes([letter]))
            told = await reader.readuntil(b"word")
        writer.close()
        await writer.wait_closed()
        return told

    assert served(conversation, seconds=SECONDS).startswith(b"HTTP/1.1 200")
    assert served.refused == []


@pytest.mark.parametrize("before", [b"", ASK])
def test_blank_lines_keep_no_connection_open(served, before):
    async def conversation(connect):
        reader, writer = await connect()
        writer.write(before)
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"\r\n")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 0.01)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return True

    assert served(conversation, seconds=SECONDS)


async def gone(scope, receive, send):
    """Answers nothing until nobody waits any more."""
    while (await receive())["type"] != "http.disconnect":
        pass


def test_only_so_many_requests_wait_on_one_connection(served):
    async def all_answered(connect):
        reader, writer = await connect()
        writer.write(ASK * (1 + MOST_WAITING))
        for _ in range(1 + MOST_WAITING):
            told = await reader.readuntil(b"word")
        writer.close()
        await writer.wait_closed()
        return told

    assert served(all_answered).startswith(b"HTTP/1.1 200") and served.refused == []
    assert served(says(ASK * (2 + MOST_WAITING)), app=gone) == b""
    assert served.refused == [400]


def test_a_refusal_is_not_taken_for_the_answer_that_another_request_waits_for(served):
    assert served(says(ASK + b"\x16\x03\x01 hello\r\n\r\n"), app=gone) == b""
    assert served.refused == [400]


@pytest.mark.parametrize("size", [2**26, 2**23])
def test_whoever_does_not_read_an_answer_is_let_go(served, size):
    ended = []

    async def large(scope, receive, send):
        headers = [(b"content-length", str(size).encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(size), "more_body": True})
        await send({"type": "http.response.body", "body": b""})  # waits until the first is read
        ended.append(scope["path"])

    async def conversation(connect):
        _, writer = await connect()  # a reader that takes some 100 KB and then waits
        writer.write(ASK)
        while not ended:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    served(conversation, app=large, seconds=SECONDS)
    assert ended == ["/"]


def test_a_head_right_after_a_message_has_a_clock_of_its_own(served):
    async def conversation(connect):
        loop, ahead = asyncio.get_running_loop(), 0.0
        real = loop.time
        loop.time = lambda: real() + ahead
        reader, writer = await connect()
        await asyncio.sleep(0.01)
        ahead = 4.0
        writer.write(ASK + ASK[:10])
        await reader.readuntil(b"word")
        ahead = 8.0
        await asyncio.sleep(0.01)
        writer.write(ASK[10:])
        told = await reader.readuntil(b"word")
        writer.close()
        await writer.wait_closed()
        return told

    assert served(conversation, seconds=6.0).startswith(b"HTTP/1.1 200")
    assert served.refused == []


def test_a_load_balancer_has_time_to_see_that_the_service_ends():
    app = FastAPI()
    app.state.draining = False

    @app.get("/readyz")
    async def readyz():
        return JSONResponse({}, 503 if app.state.draining else 200)

    async def status(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return int(line.split()[1])

    async def conversation():
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", port=0)
        server = _Server(config, app, lambda address: None, unready_seconds=60.0)
        ends = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        before = await status(port)
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.sleep(0.3)
        after = await status(port)
        server.handle_exit(signal.SIGINT, None)  # a person at a terminal does not wait
        await asyncio.wait_for(ends, 10)
        return before, after

    assert asyncio.run(conversation()) == (200, 503)
