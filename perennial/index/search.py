"""One search over all segments: coarse centroids once, each segment's rows, one merged top-k."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import faiss
import numpy as np

from perennial.index.segment import Segment
from perennial.index.selection import Selected

FEW_QUERIES = 4
# A graph visits about this many rows per unit of ef, and each costs more than a row of a scan.
_VISITED_PER_EF = 32


@dataclass(frozen=True)
class Effort:
    """How far a search looks: lists per query of an IVF, candidates of an HNSW, or everywhere."""

    nprobe: int
    ef: int
    is_exhaustive: bool = False

    def wider(self, segments: Sequence[Segment]) -> "Effort":
        """Twice as far; everywhere, where that would not cost more."""
        wide = replace(self, nprobe=2 * self.nprobe, ef=2 * self.ef)
        return replace(wide, is_exhaustive=all(_sees_all(s, wide) for s in segments))

    def for_selected(self, segments: Sequence[Segment], selected: Sequence[Selected]) -> "Effort":
        """Everywhere, where so few rows may answer that looking at each is cheaper, and exact."""
        few = all(
            part.count <= self._looked_at(segment)
            for segment, part in zip(segments, selected, strict=True)
        )
        return replace(self, is_exhaustive=few)

    def _looked_at(self, segment: Segment) -> float:
        index = segment.rows.vectors
        if isinstance(index, faiss.IndexIVF):
            return float(len(segment.rows) * self.nprobe / index.nlist)
        return self.ef * _VISITED_PER_EF if isinstance(index, faiss.IndexHNSW) else np.inf


@dataclass(frozen=True)
class Found:
    """(q, k) scores, segments' positions and rows, best first; absent is -inf, -1, -1."""

    scores: np.ndarray
    segments: np.ndarray
    rows: np.ndarray


def search_segments(
    segments: Sequence[Segment], queries: np.ndarray, k: int, *, effort: Effort, slice: str | None
) -> Found:
    """(q, d) unit rows to the k best living rows of all segments; a query that finds fewer than
    there are looks ever further, at last everywhere."""
    parts = [(i, s, s.selection.of(slice)) for i, s in enumerate(segments)]
    parts = [part for part in parts if part[2].count]
    if not parts or not len(queries):
        absent = np.full((len(queries), k), -1)
        return Found(np.full(absent.shape, -np.inf, dtype=np.float32), absent, absent)
    living = [segment for _, segment, _ in parts]
    wanted = min(k, sum(part.count for _, _, part in parts))
    if slice is not None:
        effort = effort.for_selected(living, [part for _, _, part in parts])
    with _threads_for(len(queries)):
        found = _search_once(parts, queries, k, effort)
        while not effort.is_exhaustive:
            short = (found.rows[:, wanted - 1] < 0).nonzero()[0]
            if not len(short):
                break
            effort = effort.wider(living)
            again = _search_once(parts, np.ascontiguousarray(queries[short]), k, effort)
            found.scores[short], found.segments[short] = again.scores, again.segments
            found.rows[short] = again.rows
    return found


def _search_once(
    parts: Sequence[tuple[int, Segment, Selected]], queries: np.ndarray, k: int, effort: Effort
) -> Found:
    scores = np.empty((len(parts), len(queries), k), dtype=np.float32)
    rows = np.empty((len(parts), len(queries), k), dtype=np.int64)
    lists: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # once per quantizer, shared by segments
    for (_, segment, selected), found, names in zip(parts, scores, rows, strict=True):
        index, coarse = segment.rows.vectors, segment.rows.coarse
        if coarse is None:
            _search_rows(index, queries, k, selected, effort, found, names)
            continue
        nprobe = index.nlist if effort.is_exhaustive else min(effort.nprobe, index.nlist)
        if (quantizer := int(coarse.this)) not in lists:
            lists[quantizer] = coarse.search(queries, nprobe)
        distances, numbers = lists[quantizer]
        # The Python wrapper takes no parameters here, and a tombstone needs them.
        index.search_preassigned_c(
            len(queries),
            faiss.swig_ptr(queries),
            k,
            faiss.swig_ptr(numbers),
            faiss.swig_ptr(distances),
            faiss.swig_ptr(found),
            faiss.swig_ptr(names),
            False,
            selected.in_lists(nprobe),
        )
    scores[rows < 0] = -np.inf
    if len(parts) == 1:
        number = parts[0][0]
        return Found(scores[0], np.where(rows[0] < 0, -1, number), rows[0])
    return _merged(scores, rows, np.array([number for number, _, _ in parts]), k)


def _search_rows(
    index: faiss.Index,
    queries: np.ndarray,
    k: int,
    selected: Selected,
    effort: Effort,
    scores: np.ndarray,
    rows: np.ndarray,
) -> None:
    settings = faiss.SearchParameters(sel=selected.selector)
    if isinstance(index, faiss.IndexHNSW):
        if effort.is_exhaustive:  # a graph may have corners that no edge leads to
            index = faiss.downcast_index(index.storage)
        else:
            settings = faiss.SearchParametersHNSW(efSearch=max(effort.ef, k), sel=selected.selector)
    index.search(queries, k, params=settings, D=scores, I=rows)


def _merged(scores: np.ndarray, rows: np.ndarray, numbers: np.ndarray, k: int) -> Found:
    """(s, q, k) answers of s segments to the (q, k) best; of equals the earlier segment's first."""
    queries = scores.shape[1]
    every = scores.transpose(1, 0, 2).reshape(queries, -1)
    order = (-every).argsort(axis=1, kind="stable")[:, :k]
    query = np.arange(queries)[:, None]
    top_rows = rows.transpose(1, 0, 2).reshape(queries, -1)[query, order]
    return Found(every[query, order], np.where(top_rows < 0, -1, numbers[order // k]), top_rows)


def _sees_all(segment: Segment, effort: Effort) -> bool:
    index = segment.rows.vectors
    if isinstance(index, faiss.IndexIVF):
        return effort.nprobe >= int(index.nlist)
    if isinstance(index, faiss.IndexHNSW):
        return effort.ef * _VISITED_PER_EF >= len(segment.rows)
    return True


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
