"""A service over the tiny release, in this process, with a clock that a test moves."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from perennial.data.schema import TABLES
from perennial.data.sources.days import part_files
from perennial.release.channels.channel import Candidate
from perennial.serving.http.app import create_app
from perennial.serving.http.hosts import Hosts
from perennial.serving.http.keys import AccessKeys
from perennial.serving.log.writer import LogWriter
from perennial.serving.searcher import Searcher

sys.path.insert(0, str(Path(__file__).parents[2]))
from tiny_release import NOON

OPTIONS = {
    "channel": "production",
    "keys": AccessKeys([]),
    "events_key": b"the key of the events",
    "explore": 0.0,
    "max_queries": 64,
    "max_k": 50,
    "max_query_characters": 200,
    "max_body_bytes": 10_000,
    "max_dwell_seconds": 14_400.0,
    "hosts": Hosts("127.0.0.1", ["testserver"]),
    "rate_per_second": 1e6,
    "rate_burst": 10**6,
    "batch_queries": 64,
    "batch_wait_ms": 0.0,
    "max_waiting": 1000,
    "search_threads": 2,
    "mirror_seconds": 60.0,
    "environment": {},
}


class Clock:
    """The time that the service takes it to be."""

    now = NOON

    def __call__(self) -> datetime:
        return self.now.astimezone(UTC)


@dataclass
class Served:
    """A client of the service, and what stands behind it."""

    client: TestClient
    searcher: Searcher
    log: LogWriter
    source: Path
    clock: Clock

    def search(self, query: Any, **more: Any) -> list[dict[str, Any]]:
        answer = self.client.post("/search", json={"query": query} | more)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    def logged(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table, as a snapshot reads them, once the service has ended."""
        self.client.__exit__(None, None, None)
        files = part_files(self.source / table)
        assert all(path.parent.name == "date=2026-01-05" for path in files)
        tables = [pq.read_table(path, partitioning=None) for path in files]
        assert all(each.schema.equals(TABLES[table]) for each in tables)
        return [row for each in tables for row in each.to_pylist()]


@pytest.fixture
def serve(store, tmp_path) -> Iterator[Callable[..., Served]]:
    """`serve(**options)`: the service, until the test ends; `log` is what the writer is given."""
    with ExitStack() as stack:

        def serve(log: dict[str, Any] | None = None, **options: Any) -> Served:
            clock, source = Clock(), tmp_path / "source"
            searcher = Searcher.open(store, "production", tmp_path / "cache", math.inf)
            settings = {"capacity": 10_000, "flush_seconds": 0.02, "rotate_seconds": 1e9}
            writer = LogWriter(
                source, **(settings | {"rotate_rows": 10**9} | (log or {})), now=clock
            )
            given = OPTIONS | {"now": clock, "random": Random(1), "source": source} | options
            app = create_app(searcher, writer, **given)
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            return Served(client, searcher, writer, source, clock)

        yield serve


@pytest.fixture
def roll_out(store) -> Callable[..., None]:
    """`roll_out(release_id, …)`: the channel has that candidate from now on."""

    def roll_out(
        release_id: str,
        share: float = 1.0,
        stage: str = "canary",
        deadline: str = "2026-01-06T00:00:00Z",
    ) -> None:
        current = store.read_channel("production")
        after = replace(
            current,
            generation=current.generation + 1,
            write_id=f"{current.generation + 1:032x}",
            candidate=Candidate(release_id, stage, share, "salt", deadline),
        )
        store.compare_and_swap("production", current, after.signed(None))

    return roll_out
