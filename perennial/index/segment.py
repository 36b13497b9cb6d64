"""A segment: an immutable FAISS index file, its rows' ids, and the rows that count no more."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.errors import BadInput, IntegrityError, PlaceUnusable

FEW_QUERIES = 4


@dataclass(frozen=True)
class Segment:
    """`vectors` holds the rows of `doc_ids`, in order; `dead` marks the tombstones."""

    vectors: faiss.Index
    doc_ids: np.ndarray  # (rows,) of str
    dead: np.ndarray  # (rows,) bool

    @property
    def live(self) -> int:
        return int(len(self.dead) - self.dead.sum())


def build_vectors(vectors: np.ndarray, *, factory: str, nprobe: int, seed: int) -> faiss.Index:
    """(n, d) unit rows to a filled inner-product FAISS index; same input, same bytes."""
    rows, dimension = vectors.shape
    if rows == 0:
        raise BadInput("there is no document to index; is the catalogue empty?")
    if factory.startswith("IVF"):
        lists = int(factory.removeprefix("IVF").split(",")[0])
        # Below 39 rows a list k-means is ill-fed, and an exact search of so few rows costs nothing.
        if rows < 39 * lists:
            factory = "Flat"
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    if isinstance(index, faiss.IndexIVF):
        index.cp.seed = seed
        index.nprobe = nprobe
        index.train(vectors)
    index.add(vectors)
    return index


def write_segment(
    directory: Path,
    *,
    name: str,
    vectors: faiss.Index,
    doc_ids: Sequence[str],
    text_digests: Sequence[str],
) -> None:
    """Write `<name>.faiss` and `<name>.parquet` (doc_id, text_digest; row i is FAISS row i)."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.faiss"
    try:
        faiss.write_index(vectors, str(path))
    except RuntimeError as error:
        raise PlaceUnusable(
            f"cannot write the index: {str(error).rpartition('failed: ')[2]}; make the folder "
            "writable, free some space, and run again to continue"
        ) from error
    table = pa.table({"doc_id": list(doc_ids), "text_digest": list(text_digests)})
    pq.write_table(table, directory / f"{name}.parquet")


def read_segment(directory: Path, *, vectors: str, ids: str, tombstones: str | None) -> Segment:
    """The segment of three file names; raises IntegrityError where they disagree."""
    try:
        index = faiss.read_index(str(directory / vectors))
        doc_ids = np.array(_read_ids(directory / ids), dtype=object)
        dead = np.zeros(len(doc_ids), dtype=bool)
        if tombstones is not None:
            dead[np.load(directory / tombstones, allow_pickle=False)] = True
    except (RuntimeError, OSError, EOFError, ValueError, IndexError) as error:
        raise IntegrityError(
            f"a file of segment {vectors} in {directory} is missing or damaged: {error}; run "
            "`perennial verify`, then `perennial rollback`"
        ) from error
    if index.ntotal != len(doc_ids):
        raise IntegrityError(
            f"{vectors} holds {index.ntotal} vectors but {ids} names {len(doc_ids)} documents; "
            "run `perennial verify`, then `perennial rollback`"
        )
    return Segment(vectors=index, doc_ids=doc_ids, dead=dead)


def _read_ids(path: Path) -> list[str]:
    # pq.read_table and to_numpy would import pandas, a third of a second of every search.
    with pq.ParquetFile(path) as stream:
        return list(stream.read(columns=["doc_id"])["doc_id"].to_pylist())


@contextmanager
def _threads_for(queries: int) -> Iterator[None]:
    """One thread for few queries: FAISS would share the rows among threads that wait for each other
    at every step. On 2 busy cores and 14,000 rows a query then takes 12 ms instead of 0.5.

    OpenMP keeps the number per calling thread, so that no search disturbs another.
    """
    before = faiss.omp_get_max_threads()
    if queries <= FEW_QUERIES:
        faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def search_segment(
    segment: Segment, queries: np.ndarray, k: int, *, nprobe: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """(q, d) unit rows to (scores, rows), both (q, k), best first; absent is -inf and -1."""
    index = segment.vectors
    options: dict[str, Any] = {}
    if segment.dead.any():
        tombstones = np.flatnonzero(segment.dead).astype(np.int64)
        options["sel"] = faiss.IDSelectorNot(faiss.IDSelectorBatch(tombstones))
    settings: faiss.SearchParameters
    if isinstance(index, faiss.IndexIVF):
        options["nprobe"] = nprobe or index.nprobe
        settings = faiss.SearchParametersIVF(**options)
    else:
        settings = faiss.SearchParameters(**options)
    with _threads_for(len(queries)):
        scores, rows = index.search(queries, k, params=settings)
    return np.where(rows < 0, -np.inf, scores).astype(np.float32), rows
