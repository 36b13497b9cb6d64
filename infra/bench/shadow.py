"""What shadowing costs the answers: python -m infra.bench.shadow [--blocks N].

A process of its own answers queries at half of its peak rate, block by block with its mirror on and
off, so that whatever else the machine does falls on both; the mirror asks a candidate with an
encoder and an index of its own, and the stable release again now and then. Every answered query is
offered. Queries on which a pause of the machine itself fell are left out of both (see pauses.py).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.pauses import pauses_watched, undisturbed
from infra.bench.row import Row, row, show
from infra.bench.swap_world import make_lineage
from perennial.release.channels.channel import Channel
from perennial.release.stores.local import LocalStore

DOCUMENTS, DIMENSION = 20_000, 128
BLOCKS = 30


def rows(*, blocks: int, documents: int) -> list[Row]:
    """All rows; takes about 6 s a block, and half a minute more."""
    with tempfile.TemporaryDirectory(prefix="shadow-") as place:
        folder = Path(place)
        store, releases = LocalStore(folder / "store"), {}
        for tag, seed in (("one", 1), ("other", 2)):
            lineage = make_lineage(
                store, folder / tag, tag=tag, documents=documents, dimension=DIMENSION,
                factory="auto", seed=seed,
            )  # fmt: skip
            releases[tag] = lineage.manifest.release_id
        first = Channel(1, "production", 1, f"{1:032x}", releases["one"])
        store.compare_and_swap(first.name, None, first)
        given = {"folder": place, "releases": releases, "documents": documents, "blocks": blocks}
        command = [sys.executable, "-m", "infra.bench.shadow_reader", json.dumps(given)]
        with pauses_watched(folder / "pauses") as pauses:
            subprocess.run(command, check=True)
            stood_still = pauses()
        found = json.loads((folder / "found.json").read_text())
        loads = [np.load(folder / f"{name}.npy") for name in ("off", "on")]
    return [*latency_rows(*loads, stood_still, rate=found["rate"]), *mirror_rows(found)]


def latency_rows(off: np.ndarray, on: np.ndarray, pauses: np.ndarray, *, rate: float) -> list[Row]:
    """(blocks, 2, n) of when each query was due and its wait, with the mirror off and on."""
    ran = [[1e3 * spent[undisturbed(due, pauses)] for due, spent in blocks] for blocks in (off, on)]
    calm, shadowed = (np.concatenate(blocks) for blocks in ran)
    sides = ((calm, off), (shadowed, on))
    paused = [100 * (1 - len(kept) / every[:, 1].size) for kept, every in sides]
    ratios = [_at(b, 95) / _at(a, 95) for a, b in zip(*ran, strict=True) if len(a) and len(b)]
    load = f"{rate:.0f} queries a second"
    return [
        row("p95 with shadow on, while the machine ran", _at(shadowed, 95), "ms",
            against=f"off {_at(calm, 95):.3f} ms, {load}", base=_at(calm, 95), at_most=1.1,
            of_ratio=True),
        row(f"the same within pairs of blocks, median of {len(ratios)}",
            float(np.median(ratios)), "times", against="the block with shadow off"),
        *(
            row(f"p{q} with shadow on", _at(shadowed, q), "ms",
                against=f"off {_at(calm, q):.3f} ms", base=_at(calm, q))
            for q in (50, 99)
        ),
        row("queries on which a pause of the machine fell", paused[1], "%",
            against=f"off {paused[0]:.2f} %"),
    ]  # fmt: skip


def mirror_rows(found: dict[str, Any]) -> list[Row]:
    """What an offer costs, and what the mirror came to."""
    counts, seconds = found["counts"], found["seconds"]
    return [
        row("an offer that is taken, median", found["taken_us"], "us"),
        row("an offer that is dropped, median", found["dropped_us"], "us"),
        row("the slowest of 1,000 offers, median", found["slowest_us"], "us"),
        row("compared with the candidate", counts["compared"] / seconds, "queries/s",
            against=f"{counts['offered'] / seconds:.0f} offered"),
        row("dropped, and counted", 100 * counts["dropped"] / counts["offered"], "%"),
        row("offers that nobody counted",
            counts["offered"] - counts["dropped"] - counts["failed"] - counts["compared"],
            "queries", at_most=0),
        row("answers that failed or were wrong", found["wrong"], "answers", at_most=0),
    ]  # fmt: skip


def _at(values: np.ndarray, percentile: float) -> float:
    return float(np.percentile(values, percentile))


def main() -> int:
    """Measure, print the table, write bench/shadow.json; 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    chosen = parser.parse_args()
    found = rows(blocks=chosen.blocks, documents=chosen.documents)
    show(found, title="shadow")
    out = Path("bench") / "shadow.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if all(each["holds"] is not False for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
