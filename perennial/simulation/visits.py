"""Simulated people who come to a running search service, and tell it by HTTP what they clicked.

Each does what simulation/public.py says, but on what the service shows that very session: which
release answers, and whether it explores, is the service's affair. A person's wishes and moods are a
function of (seed, session); when they come depends on how fast the service answers.
"""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from perennial.errors import BadInput
from perennial.simulation.public import POPULARITY_SIGMA, Habits, click, wishes
from perennial.simulation.rows import LONG_DWELL, SHORT_DWELL

_TIMEOUT_SECONDS = 30.0
_TRIES = 3  # of a request whose answer was lost


@dataclass(frozen=True)
class Visits:
    """What came of them: requests by the arm that answered, clicks, and what failed first."""

    sessions: int
    requests: dict[str, int]
    clicks: int
    failed: int
    first_failure: str


def visit(
    url: str,
    truth: pd.DataFrame,
    *,
    sessions: int,
    results: int,
    habits: Habits,
    seed: int,
    tag: str,
    workers: int,
    access_key: str | None = None,
    come_in: Callable[[], None] = lambda: None,
) -> Visits:
    """Sessions `{tag}-0` to `{tag}-{sessions - 1}` of people whose wishes are `truth`.

    `workers` of them come at once; `come_in` is called as each begins. Raises BadInput where there
    is no service at `url`; a request that fails later is counted, and the person leaves.
    """
    queries, relevant = wishes(truth)
    if not queries:
        raise BadInput("no query has a known answer, so nobody can be simulated; import judgements")
    weight = np.random.default_rng([seed, 1]).lognormal(sigma=POPULARITY_SIGMA, size=len(queries))
    chances = np.cumsum(weight / weight.sum())
    door = _Door(url, access_key)
    counts: Counter[str] = Counter()
    lock, failure = threading.Lock(), ""

    def come(number: int) -> None:
        nonlocal failure
        come_in()
        generator = np.random.default_rng([seed, 2, number])
        seen: Counter[str] = Counter()
        try:
            for _ in range(int(generator.integers(1, habits.max_requests + 1))):
                wish = min(int(np.searchsorted(chances, generator.random())), len(queries) - 1)
                body = {"query": queries[wish], "k": results, "session_id": f"{tag}-{number}"}
                answer = door.send("POST", "/search", body)["results"][0]
                seen[f"arm {answer['arm']}"] += 1
                events = _events(answer, relevant[wish], results, habits, generator)
                if events:
                    door.send("POST", "/events", {"events": events})
                    seen["clicks"] += len(events) // 2
        except (OSError, http.client.HTTPException, _NotAnswered) as error:
            seen["failed"] += 1
            with lock:
                failure = failure or f"{type(error).__name__}: {error}"
        with lock:
            counts.update(seen)

    with closing(door), ThreadPoolExecutor(workers) as crowd:
        door.check()
        for _ in crowd.map(come, range(sessions)):
            pass
    return Visits(
        sessions,
        {name.removeprefix("arm "): n for name, n in sorted(counts.items()) if "arm " in name},
        counts["clicks"],
        counts["failed"],
        failure,
    )


def _events(
    answer: dict[str, Any],
    wanted: set[str],
    results: int,
    habits: Habits,
    generator: np.random.Generator,
) -> list[dict[str, Any]]:
    """A click and a dwell for each hit that the person chose."""
    shown = [hit["doc_id"] for hit in answer["hits"]]
    exists, is_wanted = np.zeros((2, 1, results), dtype=bool)
    exists[0, : len(shown)] = True
    is_wanted[0, : len(shown)] = [doc_id in wanted for doc_id in shown]
    events = []
    for rank in np.flatnonzero(click(exists, is_wanted, habits, generator)[0]):
        stays = generator.uniform(*(LONG_DWELL if is_wanted[0, rank] else SHORT_DWELL))
        about = {"request_id": answer["request_id"], "doc_id": shown[rank]}
        events.append({**about, "type": "click"})
        events.append({**about, "type": "dwell", "value": round(float(stays), 3)})
    return events


class _NotAnswered(Exception):
    """The service refused, or answered what is no answer."""


class _Door:
    """The service's address, with one kept connection for each thread."""

    def __init__(self, url: str, access_key: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url} is no address of a service; write http://127.0.0.1:8000")
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._headers = {"Content-Type": "application/json"}
        if access_key:
            self._headers["Authorization"] = f"Bearer {access_key}"
        self._url, self._here = url, threading.local()
        self._lines: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close every thread's connection."""
        for line in self._lines:
            line.close()

    def check(self) -> None:
        """Raise BadInput where no service answers, or one that is not ready."""
        try:
            self.send("GET", "/readyz", None)
        except (OSError, http.client.HTTPException, ValueError, _NotAnswered) as error:
            raise BadInput(
                f"no search service is ready at {self._url} ({error}); start one with "
                "`perennial serve`"
            ) from error

    def send(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """The answer's JSON; raises what kept it away, after a few tries of a lost connection."""
        data = None if body is None else json.dumps(body).encode()
        for left in reversed(range(_TRIES)):
            try:
                return self._send(method, path, data)
            except (ConnectionError, http.client.BadStatusLine):
                self._here.line.close()  # the service drained, or was restarted
                self._here.line = None
                if left == 0:
                    raise
        raise AssertionError("a try either returns or raises")

    def _send(self, method: str, path: str, data: bytes | None) -> dict[str, Any]:
        line = getattr(self._here, "line", None)
        if line is None:
            line = self._kind(self._host, self._port, timeout=_TIMEOUT_SECONDS)
            self._here.line = line
            self._lines.append(line)
        line.request(method, self._prefix + path, data, self._headers)
        response = line.getresponse()
        told = response.read()
        if response.status != 200:
            raise _NotAnswered(f"{response.status} {told[:200].decode(errors='replace')}")
        answer = json.loads(told)
        if not isinstance(answer, dict):
            raise _NotAnswered(f"what came back is no answer: {told[:200]!r}")
        return answer
