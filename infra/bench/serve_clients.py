"""Clients of the service benchmark, in a process of their own: connections that ask and measure.

python -m infra.bench.serve_clients PORT CONNECTIONS, then one command a line on stdin, one line of
JSON on stdout for each. The clients cost as little as they can: they share the service's cores.
"""

import asyncio
import itertools
import json
import sys
import time
from typing import Any

import numpy as np
import uvloop

K = 10
TOPICS = 1_000
_WORDS = 3  # in a query
_HEAD = (
    b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)


class Connection(asyncio.Protocol):
    """One kept HTTP/1.1 connection; `ask` sends one request and waits for its answer."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._waiter: asyncio.Future[bool] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """An answer is whole once its content-length is there."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(self._received) >= end + 4 + length:
            is_good = self._received.startswith(b"HTTP/1.1 200") and b'"hits":[{' in self._received
            self._received.clear()
            self._answered(is_good)

    def connection_lost(self, error: Exception | None) -> None:
        """What waits has failed."""
        self._answered(False)

    def _answered(self, is_good: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(is_good)

    async def ask(self, request: bytes) -> bool:
        """True where the answer was 200 with hits."""
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter


class Clients:
    """All connections; counts what was answered and what failed."""

    def __init__(self, connections: list[Connection], *, documents: int) -> None:
        self._connections, self._documents = connections, documents
        self.answered, self.failed = 0, 0

    async def peak(self, *, seconds: float, queries: int) -> float:
        """Queries a second when each connection asks as soon as it has its answer."""
        bodies = itertools.cycle(_requests(200, queries=queries, documents=self._documents))
        until, count = time.perf_counter() + seconds, 0

        async def work(connection: Connection) -> None:
            nonlocal count
            while time.perf_counter() < until:
                self._count(await connection.ask(next(bodies)), queries)
                count += queries

        began = time.perf_counter()
        await asyncio.gather(*map(work, self._connections))
        return count / (time.perf_counter() - began)

    async def load(self, *, rate: float, seconds: float, seed: int) -> list[list[float]]:
        """[due, spent]: when each request should have begun (Poisson arrivals at `rate`), and the
        seconds from then to its answer; one that waits for a late one before it has waited."""
        count = int(rate * seconds)
        due = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))
        bodies = itertools.cycle(_requests(1_000, queries=1, documents=self._documents))
        due += time.perf_counter() + 0.05
        spent, turns = np.zeros(count), itertools.count()

        async def work(connection: Connection) -> None:
            while (turn := next(turns)) < count:
                if (early := due[turn] - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                self._count(await connection.ask(next(bodies)), 1)
                spent[turn] = time.perf_counter() - due[turn]

        await asyncio.gather(*map(work, self._connections))
        return [due.tolist(), spent.tolist()]

    def _count(self, is_good: bool, queries: int) -> None:
        if is_good:
            self.answered += queries
        else:
            self.failed += queries


def queries_of(count: int, *, documents: int, seed: int) -> list[str]:
    """Queries of some known words each, all of one topic."""
    first = np.random.default_rng(seed).integers(0, documents, count)
    numbers = (first[:, None] + TOPICS * np.arange(_WORDS)) % documents
    return [" ".join(f"w{number}" for number in row) for row in numbers.tolist()]


def _requests(count: int, *, queries: int, documents: int) -> list[bytes]:
    asked = queries_of(count * queries, documents=documents, seed=5)
    made = []
    for turn in range(count):
        some = asked[turn * queries : (turn + 1) * queries]
        query: Any = some[0] if queries == 1 else some
        body = json.dumps({"query": query, "k": K, "session_id": f"s-{turn}"}).encode()
        made.append(_HEAD % len(body) + body)
    return made


async def main() -> None:
    """Answer commands until stdin ends."""
    port, count, documents = (int(argument) for argument in sys.argv[1:4])
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(count):
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        connections.append(connection)
    clients = Clients(connections, documents=documents)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        name = command.pop("do")
        if name == "counts":
            answer: Any = {"answered": clients.answered, "failed": clients.failed}
        else:
            answer = await getattr(clients, name)(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
