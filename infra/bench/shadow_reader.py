"""The answering side of the shadow benchmark, in a process of its own.

python -m infra.bench.shadow_reader GIVEN_JSON loads its releases, answers at half of its peak rate
with the mirror off and on, and writes off.npy, on.npy and found.json into the given folder.
"""

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np

from infra.bench.swap_reader import Reader
from perennial.release.stores.local import LocalStore
from perennial.serving.loaded import load_release
from perennial.serving.mirror import Mirror
from perennial.serving.mirrored import MirroredFiles
from perennial.serving.priority import put_queries_first
from perennial.serving.searcher import Searcher

BLOCK_SECONDS = 3.0
CAPACITY, OFFERS = 64, 20_000
K = 10


class Shadowed(Reader):
    """Offers each answer to a mirror, where there is one."""

    mirror: Mirror | None = None

    def ask(self, number: int) -> None:
        """One query, whose answer is the known one of stable."""
        number %= self.documents
        query = f"w{number}"
        answer = self.searcher.search(query, K)
        if answer.hits[0].doc_id != f"one-base-{number}":
            self.mixed += 1
        if self.mirror is not None:
            self.mirror.offer(query, answer, request_id=query, k=K)


def answer(*, folder: str, releases: dict[str, str], documents: int, blocks: int) -> None:
    """The process that answers: loads with the mirror off and on, and what it found, as files."""
    place = Path(folder)
    store = LocalStore(place / "store")
    candidate = load_release(store, releases["other"], place / "candidates")
    with Searcher.open(store, cache=place / "cache", poll_seconds=1.0) as searcher:
        put_queries_first()
        reader = Shadowed(searcher, {releases["one"]: ["one", 0]}, documents=documents)

        def mirror(files: Path) -> Mirror:
            return Mirror(
                candidate.search_many, release_id=candidate.release_id, capacity=CAPACITY,
                keep=MirroredFiles(files), again=searcher.search_many,
            )  # fmt: skip

        reader.peak(seconds=1.0)
        rate = reader.peak(seconds=3.0) / 2
        reader.load(rate=rate, seconds=1.0, seed=0)
        found: dict[str, list[np.ndarray]] = {"off": [], "on": []}
        shadow, seconds = mirror(place / "mirrored"), 0.0
        for block in range(blocks):
            # Who comes first takes turns, and both get the same queries at the same moments.
            for side in ("off", "on") if block % 2 else ("on", "off"):
                reader.mirror = shadow if side == "on" else None
                began = time.perf_counter()
                found[side].append(reader.load(rate=rate, seconds=BLOCK_SECONDS, seed=block + 1))
                if side == "on":
                    seconds += time.perf_counter() - began
                    _emptied(shadow)
        shadow.close()
        offers = _offers(mirror(place / "offers"), searcher)
    counts = vars(shadow.counts)
    told = {"rate": rate, "counts": counts, "seconds": seconds, "wrong": reader.mixed, **offers}
    (place / "found.json").write_text(json.dumps(told))
    for side, loads in found.items():
        np.save(place / f"{side}.npy", np.stack(loads))


def _emptied(shadow: Mirror) -> None:
    """Wait until nothing is left of a block for the next one."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        counts = shadow.counts
        if counts.offered == counts.dropped + counts.failed + counts.compared:
            return
        time.sleep(0.01)


def _offers(shadow: Mirror, searcher: Searcher) -> dict[str, float]:
    """Microseconds of single offers, taken and dropped."""
    answered = searcher.search("w1", K)
    taken, dropped = [], []
    for _ in itertools.repeat(None, OFFERS):
        began = time.perf_counter()
        is_taken = shadow.offer("w1", answered, request_id="w1", k=K)
        (taken if is_taken else dropped).append(1e6 * (time.perf_counter() - began))
    shadow.close()
    every = np.array(taken + dropped)
    slowest = every[: len(every) // 1000 * 1000].reshape(-1, 1000).max(axis=1)
    return {
        "taken_us": float(np.median(taken)),
        "dropped_us": float(np.median(dropped)),
        "slowest_us": float(np.median(slowest)),
    }


if __name__ == "__main__":
    answer(**json.loads(sys.argv[1]))
