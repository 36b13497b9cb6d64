"""`make bench-fusion`: what words (BM25) add to vectors on apidocs, and what they cost.

The world is the demo's: a first champion, people who search, one retrain. All rankings answer the
same held-out queries; the words are those of the release itself.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from infra.bench.lineage import index_bytes, words_bytes
from infra.bench.measured import measured
from infra.bench.row import Row, row, show
from perennial.data.documents import indexed_texts
from perennial.data.tables import read_table
from perennial.index.lexical.bm25 import Lexical
from perennial.index.lexical.postings import count_words
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.quality.metrics import DEPTH, per_query_metrics
from perennial.quality.paired import paired_difference
from perennial.release.channels.moves import read_kept
from perennial.release.stores.open import open_store
from perennial.serving.loaded import LoadedRelease, load_release
from perennial.stages.evaluate import held_out_labels

METRIC = "ndcg@10"
_TIMED = 200  # queries, each alone


def main() -> int:
    """Run the demo's first round, measure, print the table and write bench/fusion.json."""
    out = Path("bench")
    home, began = (out / "fusion-home").absolute(), time.monotonic()
    shutil.rmtree(home, ignore_errors=True)
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "flows.demo", "--rounds", "1"]
    environment = os.environ | {"PERENNIAL_HOME": str(home)}
    if (done := subprocess.run(command, env=environment, check=False)).returncode:
        print(f"the demo ended with exit code {done.returncode}; nothing is measured")
        return done.returncode
    rows = measure(home, load_params(Path("params.yaml")))
    (out / "fusion.json").write_text(json.dumps(rows, indent=1) + "\n")
    show(rows, title=f"make bench-fusion, {time.monotonic() - began:.0f} s")
    shutil.rmtree(home)
    return 0


def measure(home: Path, params: Params) -> list[Row]:
    """The rows of a demo's home."""
    store = open_store(str(home / "store"))
    made = sorted(store.release_ids(), key=lambda i: read_kept(store, i, key=None).created_at)
    releases = [load_release(store, each, home / "cache") for each in (made[0], made[-1])]
    labels = held_out_labels(read_table(home / "source" / "judgements.parquet"), params)
    judged = {
        str(query): dict(zip(each["doc_id"], each["grade"].astype(int), strict=True))
        for query, each in labels.groupby("query", sort=True)
    }
    queries, section = list(judged), params.evaluate

    def score(ranked: Sequence[Sequence[str | None]]) -> np.ndarray:
        return per_query_metrics(queries, ranked, judged)[METRIC]

    catalogue = read_table(home / "source" / "catalogue.parquet")
    texts, doc_ids = indexed_texts(catalogue), catalogue["doc_id"].tolist()
    lexical = releases[-1].index.lexical
    assert lexical is not None
    words = score(lexical.search(queries, DEPTH).doc_ids)
    theirs = score(Lexical(texts, doc_ids).search(queries, DEPTH)[1])
    rows = [
        row("held-out queries", len(queries), "queries"),
        row("words, BM25", float(words.mean()), METRIC, against="bm25s", base=float(theirs.mean())),
    ]
    for name, release in zip(("first champion", "after one retrain"), releases, strict=True):
        dense, fused = (
            score([each.doc_ids for each in one.search_many(queries, DEPTH)])
            for one in (release, replace(release, fuse=True))
        )
        gain = paired_difference(
            fused,
            dense,
            samples=section.bootstrap_samples,
            confidence=section.confidence,
            seed=section.seed,
        )
        bounds = f"{section.confidence:.0%}: {gain.low:+.3f} to {gain.high:+.3f}"
        rows += [
            row(f"{name}: vectors", float(dense.mean()), METRIC),
            row(f"{name}: fused", float(fused.mean()), METRIC, against="vectors alone",
                base=float(dense.mean())),
            row(f"{name}: gain of fusing", gain.value, METRIC,
                against=f"{bounds}; {gain.wins} won, {gain.losses} lost"),
        ]  # fmt: skip
    return rows + _costs(releases[-1], queries[:_TIMED], texts, doc_ids)


def _costs(
    release: LoadedRelease, queries: list[str], texts: list[str], doc_ids: list[str]
) -> list[Row]:
    """Seconds, bytes and latencies of the words."""
    with measured() as counting:
        count_words(texts, doc_ids)
    size, whole = words_bytes(release.manifest), index_bytes(release.manifest)
    alone, both = (
        median(_milliseconds(each, queries)) for each in (release, replace(release, fuse=True))
    )
    return [
        row(f"counting the words of {len(texts):,} documents", counting.seconds, "s"),
        row("bytes of words a document", size / len(texts), "bytes", against="the whole index",
            base=whole / len(texts)),
        row("a query by vectors, median", alone, "ms"),
        row("a query fused, median", both, "ms", against="by vectors", base=alone),
    ]  # fmt: skip


def _milliseconds(release: LoadedRelease, queries: list[str]) -> list[float]:
    spent = []
    for query in [*queries[:20], *queries]:
        began = time.perf_counter()
        release.search_many([query])
        spent.append(1e3 * (time.perf_counter() - began))
    return spent[20:]


if __name__ == "__main__":
    sys.exit(main())
