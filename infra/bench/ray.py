"""`make bench-ray`: embedding by Ray's workers beside embedding in one process; the same vectors?

The texts are passages of apidocs, the encoder is all-MiniLM-L6-v2. Both sides begin with nothing:
they load the encoder, fill a vector cache of their own, and Ray starts its own cluster. `--quick`
embeds little, to see that it runs: starting Ray then takes most of the time. The whole takes three
quarters of an hour on two cores.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from infra.bench.apart import apart
from infra.bench.row import Row, row, show
from infra.bench.train_rows import minilm
from perennial.compute.place import open_compute
from perennial.data.documents import indexed_texts
from perennial.data.sources.apidocs import read_apidocs
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.model.vectors import CHUNK, VectorCache

WORDS = 24  # of a passage
TEXTS, QUICK = 50_000, 4 * CHUNK
BATCH = 256


@dataclass(frozen=True)
class Made:
    """(n, d) vectors, the seconds that they took, and those before the first of them."""

    vectors: np.ndarray
    seconds: float
    first: float


def main() -> int:
    """Measure, print the table and write bench/ray.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} texts")
    given = parser.parse_args()
    out, began = Path("bench"), time.monotonic()
    out.mkdir(exist_ok=True)
    name = "ray-quick" if given.quick else "ray"
    rows = measure(minilm(), passages(QUICK if given.quick else TEXTS), is_quick=given.quick)
    (out / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    show(rows, title=f"make bench-ray, {time.monotonic() - began:.0f} s")
    return 0 if all(each["holds"] is not False for each in rows) else 1


def passages(count: int) -> list[str]:
    """The first so many distinct passages of apidocs, of 24 words each."""
    catalogue, _ = read_apidocs(updated_at=datetime(2026, 1, 5, tzinfo=UTC))
    found: dict[str, None] = {}
    for text in indexed_texts(catalogue):
        words = text.split()
        for start in range(0, len(words), WORDS):
            found[" ".join(words[start : start + WORDS])] = None
        if len(found) >= count:
            break
    return list(found)[:count]


def measure(encoder: Path, texts: list[str], *, is_quick: bool = False) -> list[Row]:
    """The rows; on little text only the vectors are held to anything."""
    workers = os.cpu_count() or 1
    local, ray = (apart(embedded, encoder, texts, side).answer for side in ("local", "ray"))
    same = (local.vectors == ray.vectors).all(axis=1)
    nearness = np.einsum("ij,ij->i", local.vectors, ray.vectors)
    return [
        row("texts", len(texts), "texts", against=f"{WORDS} words each, shards of {CHUNK:,}"),
        row("one process", len(texts) / local.seconds, "texts/s", against=f"{workers} threads"),
        row(f"Ray, {workers} workers", len(texts) / ray.seconds, "texts/s", against="one process",
            base=len(texts) / local.seconds, at_least=None if is_quick else 0.85, of_ratio=True),
        row("one process: until its first shard", local.first, "s"),
        row("Ray: until its first shard", ray.first, "s", against="one process", base=local.first),
        row("least cosine of two vectors of a text", float(nearness.min()), "cosine",
            at_least=1 - 1e-5),
        row("vectors that are the same to the last bit", float(same.mean()), "share"),
    ]  # fmt: skip


def embedded(encoder: Path, texts: list[str], backend: str) -> Made:
    """The vectors of texts, made by a process on its own or by Ray's workers."""
    began, first = time.perf_counter(), 0.0

    def told(more: int) -> None:
        nonlocal first
        first = first or time.perf_counter() - began
        shown.advance(bar, more)

    loaded = load_encoder(encoder, batch_size=BATCH)
    about = {"encoder_digest": loaded.digest, "dimension": loaded.dimension}
    digests = [text_digest(text) for text in texts]
    with (
        tempfile.TemporaryDirectory() as place,
        open_compute(
            backend=backend, address=None, cpus=1, ahead=2, patience_seconds=600.0
        ) as compute,
        VectorCache.open(Path(place), **about) as cache,
        Progress(console=Console(stderr=True)) as shown,
    ):
        bar = shown.add_task(f"  {backend}", total=len(texts))
        encode = compute.encoding(loaded.digest, encoder, batch_size=BATCH)
        vectors = cache.embed(loaded, texts, digests, encode=encode, progress=told)
        return Made(vectors, time.perf_counter() - began, first)


if __name__ == "__main__":
    raise SystemExit(main())
