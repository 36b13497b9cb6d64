"""The search service under load: python -m infra.bench.serve [--minutes M] [--only speed …].

Everything runs on this machine's cores: the service, its clients, and the bare loop that it is
measured against, which encodes and searches in one process and does nothing else.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np

from infra.bench.pauses import pauses_watched, undisturbed
from infra.bench.row import Row, row, show
from infra.bench.serve_clients import TOPICS, K, queries_of
from infra.bench.serve_world import CONNECTIONS, Service, logged, running
from infra.bench.swap_world import CLASSES, Lineage, make_lineage, publish_generation
from infra.bench.swaps import first_channel, folder_with_room, latency_rows, moved
from perennial.release.channels.channel import Candidate, Channel
from perennial.release.stores.local import LocalStore
from perennial.serving.loaded import load_release

DOCUMENTS, DIMENSION = 200_000, 256
BATCH = 64
SECONDS = 6.0
ROUNDS = 3
SWAPS, SWAP_SECONDS = 20, 4.0
SHADOW_BLOCKS, SHADOW_SECONDS = 5, 6.0
PARTS = ("speed", "swaps", "shadow", "load")


def rows(*, minutes: float, documents: int, swaps: int, only: tuple[str, ...]) -> list[Row]:
    """All rows of the parts asked for."""
    found: list[Row] = []
    with folder_with_room() as folder:
        store = LocalStore(folder / "store")
        lineage = make_lineage(
            store, folder / "one", tag="one", documents=documents, dimension=DIMENSION,
            factory="auto", seed=1, topics=TOPICS,
        )  # fmt: skip
        channel = first_channel(store, lineage.manifest)
        top = 0.0
        if "speed" in only:
            speed, top = speed_rows(folder, store, lineage, documents=documents)
            found += speed
        if "swaps" in only:
            swapped, channel = swap_rows(
                folder, store, lineage, channel, documents=documents, swaps=swaps, top=top
            )
            found += swapped
        if "shadow" in only:
            found += shadow_rows(folder, store, lineage, channel, documents=documents, top=top)
        if "load" in only:
            found += load_rows(folder, documents=documents, minutes=minutes, top=top)
    return found


def speed_rows(
    folder: Path, store: LocalStore, lineage: Lineage, *, documents: int
) -> tuple[list[Row], float]:
    """Queries a second of the service against the bare loop, in turns; and the service's rate."""
    release = load_release(store, lineage.manifest.release_id, folder / "bare")
    segment = release.index.segments[0].rows.vectors
    settings = None
    if isinstance(segment, faiss.IndexIVF):
        settings = faiss.SearchParametersIVF(nprobe=lineage.manifest.index.search["nprobe"])
    elif isinstance(segment, faiss.IndexHNSW):
        settings = faiss.SearchParametersHNSW(efSearch=lineage.manifest.index.search["ef"])

    def bare(queries: int) -> float:
        asked = queries_of(200 * queries, documents=documents, seed=5)
        faiss.omp_set_num_threads(1 if queries == 1 else 2)
        until, count = time.perf_counter() + SECONDS, 0
        began = time.perf_counter()
        while time.perf_counter() < until:
            at = count % len(asked)
            segment.search(release.encoder.encode(asked[at : at + queries]), K, params=settings)
            count += queries
        return count / (time.perf_counter() - began)

    rates: dict[str, list[float]] = {name: [] for name in ("1", "64", "bare 1", "bare 64", "off")}
    spent: dict[str, list[tuple[float, float]]] = {"1": [], "64": []}

    def peak(service: Service, name: str) -> None:
        before = service.seconds()
        rates[name].append(service(do="peak", seconds=SECONDS, queries=int(name)))
        both = zip(before, service.seconds(), strict=True)
        own, clients = (1e3 * (b - a) * int(name) / (rates[name][-1] * SECONDS) for a, b in both)
        spent[name].append((own, clients))

    for _ in range(ROUNDS):
        rates["bare 1"].append(bare(1))
        rates["bare 64"].append(bare(BATCH))
        with running(folder, documents=documents) as service:
            service(do="peak", seconds=1.0, queries=1)
            peak(service, "1")
            peak(service, "64")
            _none_failed(service)
        with running(folder, documents=documents, batch_queries=1) as service:
            service(do="peak", seconds=1.0, queries=1)
            rates["off"].append(service(do="peak", seconds=SECONDS, queries=1))
    median = {name: float(np.median(each)) for name, each in rates.items()}
    cost = {name: np.median(np.array(each), axis=0) for name, each in spent.items()}
    what = f"{documents:,} x {DIMENSION}, {lineage.manifest.index.factory}"
    return [
        row(f"bare loop of encode and search, single queries ({what})", median["bare 1"], "/s"),
        row(f"service, single queries of {CONNECTIONS} clients", median["1"], "/s",
            against="the bare loop", base=median["bare 1"], at_least=0.2, of_ratio=True),
        row("the same, no two embedded together", median["off"], "/s", against="batched",
            base=median["1"]),
        row(f"bare loop, {BATCH} queries at once", median["bare 64"], "/s"),
        row(f"service, requests of {BATCH}", median["64"], "/s", against="the bare loop",
            base=median["bare 64"], at_least=0.8, of_ratio=True),
        *(
            row(f"processor time of a request of {name}", float(own), "ms",
                against=f"its client's: {clients:.3f} ms")
            for name, (own, clients) in cost.items()
        ),
    ], median["1"]  # fmt: skip


def swap_rows(
    folder: Path,
    store: LocalStore,
    lineage: Lineage,
    channel: Channel,
    *,
    documents: int,
    swaps: int,
    top: float,
) -> tuple[list[Row], Channel]:
    """Failed requests and the 99th percentile over the swaps, block by block between calm ones."""
    manifests = [
        publish_generation(store, lineage, generation, folder / f"generation-{generation}")
        for generation in range(1, swaps + 1)
    ]
    calm: list[np.ndarray] = []
    moving: list[np.ndarray] = []
    with (
        running(folder, documents=documents) as service,
        pauses_watched(folder / "pauses") as pauses,
    ):
        rate = (top or service(do="peak", seconds=3.0, queries=1)) / 2
        load = {"do": "load", "rate": rate}
        service(**load, seconds=2.0, seed=0)
        for number, manifest in enumerate(manifests):
            block = SWAP_SECONDS
            calm.append(np.array(service(**load, seconds=block, seed=2 * number + 2)))
            service.send(**load, seconds=block, seed=2 * number + 3)
            time.sleep(block / 4)
            channel = moved(store, channel, replace(channel, stable=manifest.release_id))
            moving.append(np.array(service.receive()))
        counts, stood_still = service(do="counts"), pauses()
    asked = counts["answered"] + counts["failed"]
    return [
        row(f"requests that failed over {swaps} swaps", counts["failed"], f"of {asked:,}",
            at_most=0),
        *latency_rows(calm, moving, stood_still, rate=rate),
    ], channel  # fmt: skip


def shadow_rows(
    folder: Path,
    store: LocalStore,
    lineage: Lineage,
    channel: Channel,
    *,
    documents: int,
    top: float,
) -> list[Row]:
    """The 95th percentile while a candidate is asked the same behind everybody's back, and not."""
    candidate = publish_generation(store, lineage, CLASSES - 1, folder / "shadow").release_id
    shadow = Candidate(candidate, "shadow", 0.0, "salt", None)
    blocks: dict[bool, list[np.ndarray]] = {False: [], True: []}
    with (
        running(folder, documents=documents) as service,
        pauses_watched(folder / "shadow-pauses") as pauses,
    ):
        rate = (top or service(do="peak", seconds=3.0, queries=1)) / 2
        load = {"do": "load", "rate": rate, "seconds": SHADOW_SECONDS}
        for number in range(2 * SHADOW_BLOCKS):
            is_on = number % 2 == 1
            after = replace(channel, candidate=shadow if is_on else None)
            channel = moved(store, channel, after)
            service(**load | {"seconds": 2.0}, seed=1)  # until it is there, and warm
            blocks[is_on].append(np.array(service(**load, seed=number + 2)))
        channel = moved(store, channel, replace(channel, candidate=None))
        _none_failed(service)
        stood_still = pauses()
    off, on = (
        1e3 * np.concatenate([spent[undisturbed(due, stood_still)] for due, spent in blocks[each]])
        for each in (False, True)
    )
    p95 = float(np.percentile(off, 95))
    return [
        row("p95 with a shadow", float(np.percentile(on, 95)), "ms",
            against=f"without: {p95:.2f} ms, {rate:.0f} queries a second", base=p95,
            at_most=1.1, of_ratio=True),
    ]  # fmt: skip


def load_rows(folder: Path, *, documents: int, minutes: float, top: float) -> list[Row]:
    """Memory and lost impressions of a long load at half the top rate."""
    before = logged(folder)
    with running(folder, documents=documents, log_rotate_seconds=30.0) as service:
        rate = (top or service(do="peak", seconds=3.0, queries=1)) / 2
        # Until the first rotations are over it still takes what it will always need.
        service(do="load", rate=rate, seconds=max(10.0, 15 * minutes), seed=1)
        start, memory = service.memory(), []
        for number in range(10):
            service(do="load", rate=rate, seconds=6 * minutes, seed=number + 2)
            memory.append(service.memory())
        counts = service(do="counts")
    written = logged(folder) - before
    what = f"{minutes:g} minutes at {rate:.0f} queries a second"
    growth = float(np.median(memory[-3:])) / start - 1
    return [
        row(f"memory growth of {what}", 100 * growth, "%", against=f"{start / 1e6:.0f} MB",
            at_most=2),
        row("answers whose impressions were lost", counts["answered"] - written,
            f"of {counts['answered']:,}", at_most=0),
        row("requests that failed", counts["failed"], f"of {counts['answered']:,}", at_most=0),
    ]  # fmt: skip


def _none_failed(service: Service) -> None:
    counts = service(do="counts")
    assert not counts["failed"], f"{counts} in a load without faults"


def main() -> None:
    """Measure, show the table, write bench/serve.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the long load")
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--swaps", type=int, default=SWAPS)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    found = rows(
        minutes=given.minutes,
        documents=given.documents,
        swaps=given.swaps,
        only=tuple(given.only),
    )
    show(found, title="The search service")
    path = Path("bench") / "serve.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
