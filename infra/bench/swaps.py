"""Swaps under load, and the memory that they take: python -m infra.bench.swaps [--swaps N].

A reader in a process of its own answers known questions at half of its peak rate while its channel
moves, block by block between blocks in which it does not, so that whatever else the machine does
falls on both. Other machines publish: the releases are in the store before the reader opens.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.pauses import pauses_watched, undisturbed
from infra.bench.row import Row, row, show
from infra.bench.swap_world import Lineage, make_lineage, publish_generation
from perennial.release.channels.channel import Channel
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.local import LocalStore

DOCUMENTS, DIMENSION = 20_000, 128
MEMORY_DOCUMENTS, TINY_DOCUMENTS = 200_000, 500
# Between two swaps: a reader as it comes looks twice a second and sees none that are faster; a
# reindex comes four times an hour.
PAUSE_SECONDS = 0.5
BLOCKS = 20
ROOM_BYTES = 2 << 30
PEAK_SECONDS = 3.0


def rows(
    *, swaps: int = 1000, documents: int = DOCUMENTS, pause: float = PAUSE_SECONDS
) -> list[Row]:
    """All rows; takes about 0.8 s a swap, and a minute more."""
    with folder_with_room() as folder:
        found = load_rows(folder, swaps=swaps, documents=documents, pause=pause)
    with folder_with_room() as folder:
        return found + memory_rows(folder, documents=MEMORY_DOCUMENTS)


def load_rows(folder: Path, *, swaps: int, documents: int, pause: float) -> list[Row]:
    """Wrong answers of `swaps` swaps, and the 99th percentile with and without them."""
    store = LocalStore(folder / "store")
    lineage = _lineage(store, folder, "one", documents=documents, seed=1)
    manifests = []
    for generation in range(1, swaps + 2):
        work = folder / "generation"
        manifests.append(publish_generation(store, lineage, generation, work))
        shutil.rmtree(work)
    releases = {m.release_id: [lineage.tag, g] for g, m in enumerate(manifests, 1)}
    channel = first_channel(store, manifests[0])
    calm: list[np.ndarray] = []
    moving: list[np.ndarray] = []
    with (
        _reader(folder, store, releases) as tell,
        pauses_watched(folder / "pauses") as pauses,
    ):
        tell(do="open", channel=channel.name, documents=documents)
        tell(do="peak", seconds=1.0)
        peak = tell(do="peak", seconds=PEAK_SECONDS)
        per = -(-swaps // BLOCKS)
        load = {"do": "load", "rate": peak / 2, "seconds": per * pause}
        tell(**load | {"seconds": 1.0}, seed=0)
        for block, start in enumerate(range(1, swaps + 1, per), 1):
            calm.append(np.array(tell(**load | {"seconds": per * pause / 2}, seed=2 * block)))
            tell.send(**load, seed=2 * block + 1)
            for manifest in manifests[start : start + per]:
                began = time.monotonic()
                channel = moved(store, channel, replace(channel, stable=manifest.release_id))
                time.sleep(max(0.0, pause - (time.monotonic() - began)))
            moving.append(np.array(tell.receive()))
        counts, stood_still = tell(do="counts"), pauses()
    if counts["first"]:
        print(f"the first wrong answer: {counts['first']}")
    served = len(set(counts["seen"]) & {m.release_id for m in manifests[1:]})
    size = sum(manifests[0].objects().values()) / 1e6
    what = f"{documents:,} x {DIMENSION} and its encoder, {size:.0f} MB, 1 % new"
    answers = f"of {sum(block.shape[1] for block in moving):,}"
    return [
        row(f"swaps served ({what})", served, "releases", base=swaps, against="published",
            at_least=swaps),
        row("answers that failed", counts["failed"], answers, at_most=0),
        row("answers that were mixed or wrong", counts["mixed"], answers, at_most=0),
        *latency_rows(calm, moving, stood_still, rate=peak / 2),
    ]  # fmt: skip


def latency_rows(
    calm: list[np.ndarray], moving: list[np.ndarray], pauses: np.ndarray, *, rate: float
) -> list[Row]:
    """Waits during swaps against the blocks (2, n) between them; bound where the machine ran.

    The pauses of the machine itself fall on both, and on one in a hundred queries or more: with
    them, the 99th percentiles tell how many there were. They stand beside.
    """
    ran = [[spent[undisturbed(due, pauses)] for due, spent in blocks] for blocks in (calm, moving)]
    steady, swapping = (1e3 * np.concatenate(each) for each in ran)
    every = [1e3 * np.concatenate([spent for _, spent in blocks]) for blocks in (calm, moving)]
    shares = [
        1 - len(kept) / len(all_) for kept, all_ in zip((steady, swapping), every, strict=True)
    ]
    ratios = [_p99(m) / _p99(c) for c, m in zip(*ran, strict=True)]
    against = f"steady p99 {_p99(steady):.2f} ms, {rate:.0f} queries a second"
    return [
        row("p99 during swaps, while the machine ran", _p99(swapping), "ms", against=against,
            base=_p99(steady), at_most=1.2, of_ratio=True),
        row(f"the same within pairs of blocks, median of {len(ratios)}",
            float(np.median(ratios)), "times", against="the steady block before"),
        row("p50 during swaps", float(np.median(swapping)), "ms", against="steady p50",
            base=float(np.median(steady))),
        row("p99.9 during swaps", float(np.percentile(swapping, 99.9)), "ms",
            against="steady p99.9", base=float(np.percentile(steady, 99.9))),
        row("queries on which a pause of the machine fell, during swaps", 100 * shares[1], "%",
            against=f"steady {100 * shares[0]:.2f} %; {len(pauses)} pauses"),
        row("p99 during swaps with those", _p99(every[1]), "ms",
            against=f"steady p99 {_p99(every[0]):.2f} ms", base=_p99(every[0])),
    ]  # fmt: skip


def memory_rows(folder: Path, *, documents: int) -> list[Row]:
    """The highest resident memory of a reindex swap and of a new encoder, in whole releases."""
    store = LocalStore(folder / "store")
    one = _lineage(store, folder, "one", documents=documents, seed=1)
    other = _lineage(store, folder, "other", documents=documents, seed=2)
    tiny = _lineage(store, folder, "tiny", documents=TINY_DOCUMENTS, seed=3)
    grown = publish_generation(store, one, 1, folder / "grown")
    releases = {
        manifest.release_id: [tag, generation]
        for manifest, tag, generation in (
            (tiny.manifest, "tiny", 0),
            (one.manifest, "one", 0),
            (grown, "one", 1),
            (other.manifest, "other", 0),
        )
    }
    channel = first_channel(store, tiny.manifest)
    with _reader(folder, store, releases) as tell:
        tell(do="open", channel=channel.name, documents=TINY_DOCUMENTS)
        tell(do="peak", seconds=0.5)
        tell(do="trim")
        empty = tell(do="memory")["now"]
        highest, after = {}, {}
        for name, manifest in (
            ("open", one.manifest),
            ("reindex", grown),
            ("encoder", other.manifest),
        ):
            tell(do="reset")
            channel = moved(store, channel, replace(channel, stable=manifest.release_id))
            tell(do="await", release_id=manifest.release_id)
            tell(do="peak", seconds=1.0)
            found = tell(do="memory")
            highest[name], after[name] = found["highest"] - empty, found["now"] - empty
    whole, size = after["open"], sum(one.manifest.objects().values())
    what = f"a release of {whole / 1e6:.0f} MB in memory"
    return [
        row("reader memory of a release", whole / 1e6, "MB", base=size / 1e6,
            against=f"its files, {size / 1e6:.0f} MB ({documents:,} x {DIMENSION})"),
        row("highest while it was opened", highest["open"] / whole, "releases", against=what),
        row("highest during a reindex swap", highest["reindex"] / whole, "releases", against=what,
            at_most=1.2),
        row("highest during a swap to a new encoder", highest["encoder"] / whole, "releases",
            against=what, at_most=2.2),
        row("after the reindex swap", after["reindex"] / whole, "releases", against=what,
            at_most=1.1),
        row("after the swap to a new encoder", after["encoder"] / whole, "releases", against=what,
            at_most=1.1),
    ]  # fmt: skip


class _Reader:
    """Commands to the reader's process and its answers, one line each."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, **command: Any) -> Any:
        self.send(**command)
        return self.receive()

    def send(self, **command: Any) -> None:
        """Tell it what to do, and go on while it does that."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """What came of it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError("the reader ended; its error stands above")
        return json.loads(line)


@contextmanager
def _reader(folder: Path, store: LocalStore, releases: dict[str, list[Any]]) -> Iterator[_Reader]:
    about = folder / "releases.json"
    about.write_text(json.dumps(releases))
    command = [sys.executable, "-m", "infra.bench.swap_reader", store.root, folder / "cache", about]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([str(part) for part in command], text=True, **pipes)
    try:
        yield _Reader(process)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def folder_with_room() -> Iterator[Path]:
    """In memory where there is room: a thousand releases are ten thousand fsyncs of a disk."""
    memory = Path("/dev/shm")  # noqa: S108
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES
    made = Path(tempfile.mkdtemp(prefix="swaps-", dir=memory if roomy else None))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _lineage(store: LocalStore, folder: Path, tag: str, *, documents: int, seed: int) -> Lineage:
    return make_lineage(
        store,
        folder / tag,
        tag=tag,
        documents=documents,
        dimension=DIMENSION,
        factory="auto",
        seed=seed,
    )


def _p99(seconds: np.ndarray) -> float:
    return float(np.percentile(seconds, 99))


def first_channel(store: LocalStore, manifest: Manifest) -> Channel:
    channel = Channel(1, "production", 1, f"{1:032x}", manifest.release_id)
    store.compare_and_swap(channel.name, None, channel)
    return channel


def moved(store: LocalStore, channel: Channel, new: Channel) -> Channel:
    """The write that a swap is; what `promote` checks before it, it checks on another machine."""
    generation = channel.generation + 1
    after = replace(new, generation=generation, write_id=f"{generation:032x}")
    store.compare_and_swap(channel.name, channel, after)
    return after


def main() -> int:
    """Measure, print the table; 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--pause", type=float, default=PAUSE_SECONDS, help="seconds between swaps")
    chosen = parser.parse_args()
    found = rows(swaps=chosen.swaps, documents=chosen.documents, pause=chosen.pause)
    show(found, title="swaps")
    return 0 if all(each["holds"] is not False for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
