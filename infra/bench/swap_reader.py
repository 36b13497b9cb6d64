"""The reader of the swap benchmark, in a process of its own: it answers, and is told what to do.

python -m infra.bench.swap_reader STORE CACHE RELEASES_JSON, then one command a line on stdin, one
line of JSON on stdout for each. `RELEASES_JSON` is {release_id: [tag, generation]}.
"""

import gc
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.swap_world import is_right
from perennial.release.stores.local import LocalStore
from perennial.serving.memory import give_back
from perennial.serving.priority import put_queries_first
from perennial.serving.searcher import Searcher

K = 10
WORKERS = 2
POLL_SECONDS = 0.02
_PAGE = 4096


class Reader:
    """Answers queries whose answers are known, and keeps count of the wrong ones."""

    def __init__(
        self, searcher: Searcher, releases: dict[str, list[Any]], *, documents: int
    ) -> None:
        self.searcher, self.releases, self.documents = searcher, releases, documents
        self.seen: set[str] = set()
        self.failed, self.mixed, self.first = 0, 0, ""

    def ask(self, number: int) -> None:
        """One query, and whether its answer is the known one of the release that it names."""
        number %= self.documents
        try:
            answer = self.searcher.search(f"w{number}", K)
        except Exception as error:  # noqa: BLE001  whatever a person would have seen
            self.failed, self.first = self.failed + 1, self.first or repr(error)
            return
        self.seen.add(answer.release_id)
        tag, generation = self.releases[answer.release_id]
        found = [hit.doc_id for hit in answer.hits]
        if not is_right(number, found, tag=tag, generation=generation):
            self.mixed, self.first = self.mixed + 1, self.first or f"{answer}"

    def peak(self, *, seconds: float) -> float:
        """Queries a second when each worker asks as soon as it has its answer."""
        until, counts = time.monotonic() + seconds, [0] * WORKERS

        def work(worker: int) -> None:
            while time.monotonic() < until:
                self.ask(7_919 * (counts[worker] + worker))
                counts[worker] += 1

        _together(work)
        return sum(counts) / seconds

    def load(self, *, rate: float, seconds: float, seed: int) -> np.ndarray:
        """(2, n): when each query should have begun (Poisson arrivals at `rate`), and the seconds
        from then to its answer: a query that waits for a late one before it has waited, and it
        shows."""
        generator = np.random.default_rng(seed)
        count = int(rate * seconds)
        due = np.cumsum(generator.exponential(1 / rate, count))
        numbers = generator.integers(0, 1 << 30, count).tolist()
        spent, turns = np.zeros(count), itertools.count()
        due += time.perf_counter() + 0.05

        def work(_: int) -> None:
            while (turn := next(turns)) < count:
                if (early := due[turn] - time.perf_counter()) > 0:
                    time.sleep(early)
                self.ask(numbers[turn])
                spent[turn] = time.perf_counter() - due[turn]

        _together(work)
        return np.stack([due, spent])


def memory() -> dict[str, float]:
    """Resident bytes, now and at the highest since they were last reset; mapped files count."""
    found = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = 1024.0 * int(value.split()[0])
    return {"now": found["VmRSS"], "highest": found["VmHWM"]}


def reset_highest() -> None:
    """Let the kernel count the highest from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Answer commands until stdin ends."""
    store, cache, about = (Path(argument) for argument in sys.argv[1:4])
    releases = json.loads(about.read_text())
    reader: Reader | None = None
    for line in sys.stdin:
        command = json.loads(line)
        name = command.pop("do")
        answer: Any = None
        if name == "open":
            searcher = Searcher.open(LocalStore(store), command["channel"], cache, POLL_SECONDS)
            put_queries_first()
            reader = Reader(searcher, releases, documents=command["documents"])
        elif name == "memory":
            gc.collect()
            answer = memory()
        elif name == "reset":
            reset_highest()
        elif name == "trim":
            give_back()
        else:
            assert reader is not None
            answer = _told(reader, name, command)
        print(json.dumps(answer), flush=True)


def _told(reader: Reader, name: str, command: dict[str, Any]) -> Any:
    if name == "peak":
        return reader.peak(**command)
    if name == "load":
        return reader.load(**command).tolist()
    if name == "await":
        until = time.monotonic() + 60
        while reader.searcher.release.release_id != command["release_id"]:
            assert time.monotonic() < until, reader.searcher.problem
            time.sleep(0.01)
        return None
    if name == "close":
        reader.searcher.close()
        return None
    counts = {"failed": reader.failed, "mixed": reader.mixed, "first": reader.first}
    return counts | {"seen": sorted(reader.seen), "problem": reader.searcher.problem}


def _together(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
