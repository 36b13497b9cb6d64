"""The side Perennial: the same updates through the lineage, against fresh builds on the way."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import numpy as np

from infra.bench.catalogue import Catalogue, texts
from infra.bench.corpus import Corpus, K
from infra.bench.lineage import Lineage, Step, as_tuned, compare, index_bytes, words_bytes
from infra.bench.measured import Cost, Side, latencies_ms, measured, watched
from perennial.data.catalogue import read_documents
from perennial.index.health import index_health
from perennial.index.index import Index
from perennial.index.tune import tune
from perennial.model.digest import text_digests
from perennial.model.encoder import load_encoder
from perennial.release.stores.local import LocalStore
from perennial.verbs.reindexing.base import Base

Track = Callable[[Iterable[int], str], Iterable[int]]
FRESH_EVERY = 25  # updates
ROUNDS = 9  # of all queries, old and fresh in turn


def run(corpus: Corpus, folder: Path, *, factory: str, recall_target: float, track: Track) -> Side:
    """Build and publish, then all updates: compared, written, published, followed, searched."""
    side = Side("Perennial")
    folder.mkdir(parents=True, exist_ok=True)
    lineage = Lineage(folder, factory, recall_target, corpus.shape.seed)
    catalogue = Catalogue.of(corpus)
    side.build = lineage.build(corpus, catalogue)
    side.factory = lineage.served.index.factory
    side.more["nprobe"] = lineage.served.index.settings.get("nprobe", 0)
    side.more["index_mb"] = index_bytes(lineage.served.manifest) / 1e6
    side.more["words_mb"] = words_bytes(lineage.served.manifest) / 1e6
    side.recall[0] = side.fresh_recall[0] = recall_of(lineage.served.index, corpus, 0)
    queries = np.ascontiguousarray(corpus.queries)
    side.before_ms = latencies_ms(lambda query: lineage.served.index.search(query, K), queries)
    steps: list[Step] = []
    rebuilds: list[Cost] = []
    for update in track(range(1, corpus.shape.updates + 1), side.name):
        change = corpus.change(update)
        catalogue.apply(change, update=update)
        steps.append(lineage.update(change, catalogue))
        side.recall[update] = recall_of(lineage.served.index, corpus, update)
        if update % FRESH_EVERY == 0 or update == corpus.shape.updates:
            rebuilt, fresh, tuning = _rebuild(lineage, corpus, catalogue, update)
            side.fresh_recall[update] = recall_of(fresh, corpus, update)
            rebuilds.append(rebuilt)
            side.more["tuning_s"] = tuning
    side.updates = [step.writing for step in steps]
    plain = [step.writing for step in steps if not step.is_compacted]
    compacted = [step.writing for step in steps if step.is_compacted]
    side.more |= {
        "following_s": median(step.following.seconds for step in steps),
        "following_peak_mb": median(step.following.peak_mb for step in steps),
        "increment_s": median(cost.seconds for cost in plain),
        "increment_mb": median(cost.bytes for cost in plain) / 1e6,
        "rebuild_s": median(cost.seconds for cost in rebuilds),
        "rebuild_peak_mb": max(cost.peak_mb for cost in rebuilds),
        "rebuild_mb": median(cost.bytes for cost in rebuilds) / 1e6,
        "increment_peak_mb": max(cost.peak_mb for cost in plain),
        "compactions": len(compacted),
        "segments": len(lineage.served.manifest.index.segments),
        "searched": len(lineage.served.index.segments),
    }
    if compacted:
        side.more["compaction_s"] = median(cost.seconds for cost in compacted)
        side.more["compaction_max_s"] = max(cost.seconds for cost in compacted)
        side.more["compaction_max_mb"] = max(cost.bytes for cost in compacted) / 1e6
        side.more["compaction_peak_mb"] = max(cost.peak_mb for cost in compacted)
    _alternate(side, lineage.served.index, fresh, queries)
    side.more["comparison_s"] = median(_compare(lineage, catalogue))
    checks = _check(lineage, corpus, catalogue)
    side.more |= {"checks_s": checks.seconds, "checks_peak_mb": checks.peak_mb}
    side.more["embedding_s"] = _embed(lineage, corpus.shape.replaced + corpus.shape.moved)
    return side


def recall_of(index: Index, corpus: Corpus, update: int) -> float:
    """recall@10 of the index against exact search in that state."""
    _, names = index.search(np.ascontiguousarray(corpus.queries), K)
    numbers = [[-1 if n is None else int(n.removeprefix("doc-")) for n in row] for row in names]
    return corpus.recall(update, np.array(numbers))


def _rebuild(
    lineage: Lineage, corpus: Corpus, catalogue: Catalogue, update: int
) -> tuple[Cost, Index, float]:
    """What a full rebuild and publish costs without its tuning, its index, seconds of tuning."""
    place = lineage.home / "rebuilt"
    shutil.rmtree(place, ignore_errors=True)
    _, vectors = corpus.live(update)
    with watched() as cost:
        index = lineage.index(place / "index", catalogue, vectors, corpus.probes)
        lineage.publish(LocalStore(place / "store"), place / "index", catalogue)
    probes = np.ascontiguousarray(corpus.probes)
    with measured() as tuning:
        tune(index, vectors=vectors, probes=probes, recall_target=lineage.recall_target)
    shutil.rmtree(place)
    cost.seconds -= tuning.seconds
    return cost, as_tuned(index, lineage.served.index), tuning.seconds


def _alternate(side: Side, old: Index, fresh: Index, queries: np.ndarray) -> None:
    """Latencies of single queries of both, round by round, so that a busy machine is fair."""
    p95: dict[str, list[float]] = {"old": [], "fresh": []}
    for _ in range(ROUNDS):
        for name, index in (("old", old), ("fresh", fresh)):
            spent = latencies_ms(lambda query, index=index: index.search(query, K), queries)
            p95[name].append(float(np.percentile(spent, 95)))
            if name == "old":
                side.after_ms += spent
    side.more["p95_ms"] = median(p95["old"])
    side.more["fresh_p95_ms"] = median(p95["fresh"])


def _compare(lineage: Lineage, catalogue: Catalogue) -> list[float]:
    """Seconds of comparing a whole catalogue file, texts and all, with the index: three times."""
    path, spent = lineage.home / "catalogue.parquet", []
    catalogue.write(path, lineage.now())
    for _ in range(3):
        folder = lineage.home / "compared"
        base = Base(lineage.store, lineage.served.manifest, cache=lineage.cache, folder=folder)
        with measured() as cost:
            changes = compare(base, read_documents(path, digests_of=text_digests))
        assert changes.is_empty, "the index holds exactly this catalogue"
        shutil.rmtree(folder)
        spent.append(cost.seconds)
    return spent


def _check(lineage: Lineage, corpus: Corpus, catalogue: Catalogue) -> Cost:
    """The probe checks: recall against exact search, coverage, self-retrieval, imbalance."""
    ids = catalogue.names[catalogue.live].tolist()
    probes = np.ascontiguousarray(corpus.probes)
    with watched() as cost:
        health = index_health(lineage.served.index, doc_ids=ids, probes=probes, seed=lineage.seed)
    assert health["coverage"] == 1.0, health
    return cost


def _embed(lineage: Lineage, documents: int) -> float:
    """Seconds that the small static encoder takes for that many texts of 60 words."""
    made = texts(np.arange(documents), np.zeros(documents, dtype=int)).to_pylist()
    encoder = load_encoder(lineage.home / "encoder")
    with measured() as cost:
        encoder.encode(made)
    return cost.seconds
