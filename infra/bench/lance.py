"""The side LanceDB, embedded: upsert (merge_insert), delete, optimize, on a local folder.

IVF_FLAT is its index that keeps vectors as they are, like ours. It stands in the table twice: with
as many partitions as ours has lists, so that one nprobe means one effort and recall compares; and
with its own number, which is far smaller and writes less (its optimize works towards that number).
The scalar index on doc_id is what its upsert looks documents up in.
"""

import os
import warnings
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from infra.bench.corpus import Corpus, K, doc_ids
from infra.bench.measured import Side, latencies_ms, watched

Track = Callable[[Iterable[int], str], Iterable[int]]
NAME = "LanceDB"
RECALL_EVERY = 5  # updates: a search of all queries takes seconds


def run(corpus: Corpus, folder: Path, *, partitions: int | None, nprobe: int, track: Track) -> Side:
    """Create and index the table, then all updates, each optimized and now and then searched;
    `partitions` None leaves their number to LanceDB."""
    os.environ.setdefault("RUST_LOG", "error")  # it warns at each query and each joined partition
    import lancedb
    from lancedb.index import BTree, IvfFlat

    side = Side(NAME if partitions is None else f"{NAME}, our lists")
    database = lancedb.connect(str(folder))
    numbers, vectors = corpus.live(0)
    queries = np.asarray(corpus.queries)
    with watched() as side.build:
        table = database.create_table("documents", data=_rows(numbers, vectors))
        _create_index(table, "vector", IvfFlat(distance_type="cosine", num_partitions=partitions))
        _create_index(table, "doc_id", BTree())
    del vectors

    def search(query: np.ndarray) -> list[str]:
        found = table.search(query[0]).distance_type("cosine").nprobes(nprobe).limit(K)
        return list(found.select(["doc_id", "_distance"]).to_arrow()["doc_id"].to_pylist())

    def recall(update: int) -> float:
        found = np.full((len(queries), K), -1)
        for row, query in enumerate(queries):
            names = search(query[None])
            found[row, : len(names)] = [int(name.removeprefix("doc-")) for name in names]
        return corpus.recall(update, found)

    side.recall[0] = recall(0)
    side.before_ms = latencies_ms(search, queries)
    for update in track(range(1, corpus.shape.updates + 1), side.name):
        change = corpus.change(update)
        gone = ", ".join(f"'{name}'" for name in doc_ids(change.deleted))
        with watched() as cost:
            upsert = table.merge_insert("doc_id").when_matched_update_all()
            upsert.when_not_matched_insert_all().execute(_rows(change.written, change.vectors))
            table.delete(f"doc_id IN ({gone})")
            _optimize(table)
        side.updates.append(cost)
        if update % RECALL_EVERY == 0 or update == corpus.shape.updates:
            side.recall[update] = recall(update)
    side.after_ms = latencies_ms(search, queries)
    statistics = table.index_stats("vector_idx")
    side.more["delta_indexes"] = float(statistics.num_indices)
    side.notes.append(
        f"lancedb {lancedb.__version__}, IVF_FLAT, {partitions or 'its own number of'} partitions, "
        f"nprobes {nprobe}; "
        f"recall at every {RECALL_EVERY}th update"
    )
    return side


def _create_index(table: Any, column: str, config: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        table.create_index(column, config=config)


def _optimize(table: Any) -> None:
    """Old versions go, or the disk would: writing, not deleting, is what is counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that other readers would fail
        table.optimize(cleanup_older_than=timedelta(0))


def _rows(numbers: np.ndarray, vectors: np.ndarray) -> pa.Table:
    flat = pa.array(np.ascontiguousarray(vectors).ravel())
    return pa.table(
        {
            "doc_id": pa.array(doc_ids(numbers)),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )
