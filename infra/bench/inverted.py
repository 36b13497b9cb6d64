"""The side "one FAISS IVF": remove_ids, add_with_ids and write_index of the whole file per update.

What most teams run: no manifest, no way back, and a reader that must load everything again.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import faiss
import numpy as np

from infra.bench.corpus import Corpus, K
from infra.bench.measured import Side, latencies_ms, watched

Track = Callable[[Iterable[int], str], Iterable[int]]


def run(corpus: Corpus, folder: Path, *, factory: str, nprobe: int, track: Track) -> Side:
    """Build, then all updates, each written durably and searched."""
    side, path = Side("one FAISS IVF"), folder / "one.faiss"
    folder.mkdir(parents=True, exist_ok=True)
    numbers, vectors = corpus.live(0)
    queries = np.ascontiguousarray(corpus.queries)
    with watched() as side.build:
        index = trained(vectors, factory=factory, nprobe=nprobe, seed=corpus.shape.seed)
        index.add_with_ids(vectors, numbers)
        _write_durably(index, path)
    del vectors
    side.recall[0] = corpus.recall(0, index.search(queries, K)[1])
    side.before_ms = latencies_ms(lambda query: index.search(query, K), queries)
    for update in track(range(1, corpus.shape.updates + 1), side.name):
        change = corpus.change(update)
        with watched() as cost:
            gone = np.concatenate([change.replaced, change.deleted])
            index.remove_ids(faiss.IDSelectorBatch(gone))
            index.add_with_ids(np.ascontiguousarray(change.vectors), change.written)
            _write_durably(index, path)
        side.updates.append(cost)
        side.recall[update] = corpus.recall(update, index.search(queries, K)[1])
    side.after_ms = latencies_ms(lambda query: index.search(query, K), queries)
    side.notes.append(f"{factory}, nprobe {nprobe}; the whole file written and fsynced per update")
    return side


def trained(vectors: np.ndarray, *, factory: str, nprobe: int, seed: int) -> faiss.Index:
    """An empty index of the factory, trained on (n, d) vectors."""
    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    if isinstance(index, faiss.IndexIVF):
        index.cp.seed = seed % 2**31
        index.nprobe = nprobe
    index.train(vectors)
    return index


def _write_durably(index: faiss.Index, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    faiss.write_index(index, str(temporary))
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.rename(path)
