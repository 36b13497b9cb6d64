"""`make bench-index`: what a change costs, and what a hundred of them do to recall and latency.

All sides replay the same updates of the same corpus in one run, each in a process of its own:
Perennial, one FAISS IVF that is written anew, LanceDB. Then growth, swaps, memory, and the GPU
where there is one. `--quick` runs all of it on a few thousand vectors, to see that it runs.
"""

import argparse
import json
import multiprocessing
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from infra.bench import gpu, growth, index_plots, inverted, lance, ours, swaps
from infra.bench.corpus import Shape, open_corpus, prepare
from infra.bench.index_rows import beside_rows, growth_rows, own_rows
from infra.bench.measured import Side
from infra.bench.row import Row, show, show_beside
from perennial.params.reading import load_params

FULL = Shape()
QUICK = Shape(documents=4_000, dimension=64, updates=12, change=40, queries=50, probes=100)


def main() -> int:
    """Measure all sides; print the table, write index.json and the plots; 1 where a bound fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few thousand vectors")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="folder of the results")
    given = parser.parse_args()
    name, began = "index-quick" if given.quick else "index", time.monotonic()
    home = given.out / f"{name}-home"
    rows, is_whole = measure(home, given.out / name, is_quick=given.quick)
    shutil.rmtree(home)
    (given.out / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    beside = [each for each in rows if each["row"].partition(": ")[0] in index_plots.COLOUR]
    show(
        [each for each in rows if each not in beside or each["must"]],
        title=f"make bench-index, {time.monotonic() - began:.0f} s",
    )
    show_beside(beside, title="The same updates, side by side")
    missed = not given.quick and any(each["holds"] is False for each in rows)
    return 1 if missed or not is_whole else 0


def measure(home: Path, out: Path, *, is_quick: bool) -> tuple[list[Row], bool]:
    """All rows, and whether every side came to its end; plots are written to `out`-*.svg."""
    shape = QUICK if is_quick else FULL
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    _say(f"the corpus: {shape.documents:,} x {shape.dimension}, {shape.updates} updates")
    prepare(home / "corpus", shape)
    index = load_params(Path("params.yaml")).index
    factory = "IVF32,Flat" if is_quick else index.factory
    own = apart(run_ours, home, shape, factory, index.recall_target)
    if own is None:
        return [], False
    settings = own.factory, int(own.more["nprobe"])
    sides = [
        own,
        apart(run_inverted, home, shape, *settings),
        apart(run_lance, home, shape, _lists(own.factory), settings[1]),
        apart(run_lance, home, shape, None, settings[1]),
    ]
    found = [side for side in sides if side is not None]
    rows = own_rows(own, shape) + beside_rows(found, shape)
    _draw(out, "recall", index_plots.recall_over_updates(found))
    _draw(out, "bytes", index_plots.bytes_per_update(found))
    grown = apart(run_growth, home, shape.seed, is_quick)
    if grown is not None:
        rows += growth_rows(grown, dimension=32 if is_quick else 128, change=_change(is_quick))
        _draw(out, "growth", index_plots.growth(grown, change=_change(is_quick)))
    raw = {"sides": [asdict(side) for side in found], "growth": [asdict(p) for p in grown or ()]}
    out.with_name(f"{out.name}-measured.json").write_text(json.dumps(raw) + "\n")
    moved = apart(run_swaps, home, is_quick)
    rows += [*(moved or ()), *_gpu_rows(home, is_quick=is_quick)]
    for side in found:
        for note in side.notes:
            _say(f"{side.name}: {note}")
    return rows, not any(part is None for part in (*sides, grown, moved))


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What `work` returns from a process of its own, None where it fails: the others go on."""
    _say(f"measuring {work.__name__.removeprefix('run_')}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        future = pool.submit(work, *given)
        if (error := future.exception()) is not None:
            traceback.print_exception(error)
            return None
        return future.result()


def run_ours(home: Path, shape: Shape, factory: str, recall_target: float) -> Side:
    """The side Perennial."""
    corpus = open_corpus(home / "corpus", shape)
    folder = home / "ours"
    side = ours.run(corpus, folder, factory=factory, recall_target=recall_target, track=_progress)
    shutil.rmtree(folder)
    return side


def run_inverted(home: Path, shape: Shape, factory: str, nprobe: int) -> Side:
    """The side "one FAISS IVF"."""
    corpus, folder = open_corpus(home / "corpus", shape), home / "inverted"
    side = inverted.run(corpus, folder, factory=factory, nprobe=nprobe, track=_progress)
    shutil.rmtree(folder)
    return side


def run_lance(home: Path, shape: Shape, partitions: int | None, nprobe: int) -> Side:
    """The side LanceDB, with so many partitions."""
    corpus, folder = open_corpus(home / "corpus", shape), home / "lance"
    side = lance.run(corpus, folder, partitions=partitions, nprobe=nprobe, track=_progress)
    shutil.rmtree(folder)
    return side


def run_growth(home: Path, seed: int, is_quick: bool) -> list[growth.Point]:
    """One fixed change in growing corpora."""
    sizes = (1_000, 2_000, 4_000) if is_quick else (50_000, 100_000, 200_000, 500_000)
    return growth.run(
        home / "growth",
        sizes=sizes,
        dimension=32 if is_quick else 128,
        change=_change(is_quick),
        factory="IVF16,Flat" if is_quick else "IVF1024,Flat",
        seed=seed,
        track=_progress,
    )


def run_swaps(home: Path, is_quick: bool) -> list[Row]:
    """Swaps under load, and the reader's memory."""
    if not is_quick:
        return swaps.rows()
    for name in ("swaps", "memory"):
        (home / name).mkdir()
    return [
        *swaps.load_rows(home / "swaps", swaps=10, documents=1_000, pause=0.1),
        *swaps.memory_rows(home / "memory", documents=2_000),
    ]


def _gpu_rows(home: Path, *, is_quick: bool) -> list[Row]:
    found = None if is_quick else apart(gpu.device)
    built = {}
    if found is not None:
        gpu.make(home / "gpu")
        for side, on_cpu in (("gpu", False), ("cpu", True)):
            if (done := apart(gpu.build, home / "gpu", on_cpu)) is not None:
                built[side] = done
        shutil.rmtree(home / "gpu")
    return gpu.rows(built, found=found)


def _lists(factory: str) -> int | None:
    """Lists of an IVF by its factory, None for what has none."""
    found = re.match(r"IVF(\d+)", factory)
    return int(found[1]) if found else None


def _change(is_quick: bool) -> int:
    """Documents of the fixed change."""
    return 20 if is_quick else 500


def _draw(out: Path, plot: str, svg: str) -> None:
    out.with_name(f"{out.name}-{plot}.svg").write_text(svg)


def _progress(items: Iterable[int], name: str) -> Iterable[int]:
    return track(list(items), description=f"  {name}", console=Console(stderr=True))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
