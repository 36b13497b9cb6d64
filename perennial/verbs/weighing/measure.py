"""One index of the vectors that serve: what it finds, how fast, in how many bytes."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from perennial.index.build import build_index
from perennial.index.exact import chunks_of, exact_search
from perennial.index.tune import DEPTH, true_recalls
from perennial.index.variants import Variant
from perennial.model.widths import narrowed
from perennial.quality.paired import Interval, bootstrap_mean

_WARM = 20


@dataclass(frozen=True)
class Weighed:
    """An index and what was measured: recall of the true top 10 with its interval, milliseconds of
    one query on one thread, milliseconds that it kept a core busy for, which others on the machine
    do not lengthen, bytes of its FAISS files, seconds that it took to build."""

    variant: Variant
    settings: dict[str, int]
    recall: Interval
    p50_ms: float
    p95_ms: float
    busy_ms: float
    bytes: int
    build_seconds: float


@dataclass(frozen=True)
class Exam:
    """(n, d) documents and (q, d) queries at their whole width, and how near the 10th best is."""

    vectors: np.ndarray
    queries: np.ndarray
    bound: np.ndarray  # (q,)

    @classmethod
    def of(cls, vectors: np.ndarray, queries: np.ndarray) -> "Exam":
        """The exam whose answers exact search over whole vectors knows."""
        scores, _ = exact_search(queries, chunks_of(vectors), min(DEPTH, len(vectors)))
        return cls(vectors, queries, scores[:, -1])


def weigh(
    variant: Variant,
    exam: Exam,
    *,
    recall_target: float,
    memory_mb: int,
    samples: int,
    confidence: float,
    seed: int,
    clock: Callable[[], float],
    busy: Callable[[], float],
) -> Weighed:
    """Build it as a retrain would, and ask it every query, one at a time; `busy` is the clock of
    this thread's work."""
    vectors, queries = (cut(each, variant.dimension) for each in (exam.vectors, exam.queries))
    names = [str(row) for row in range(len(vectors))]
    with tempfile.TemporaryDirectory(prefix="perennial-pareto-") as name:
        folder = Path(name)
        began = clock()
        index = build_index(
            folder,
            vectors=vectors,
            doc_ids=names,
            text_digests=names,
            slices=None,
            encoder_digest="none",
            factory=variant.factory.name,
            recall_target=recall_target,
            memory_mb=memory_mb,
            probes=queries[::2],  # the others were not looked at when it was tuned
            seed=seed,
        )
        built = clock() - began
        size = sum(path.stat().st_size for path in folder.glob("*.faiss"))
        k = min(DEPTH, len(vectors))
        for row in range(min(_WARM, len(queries))):
            index.search(queries[row : row + 1], k)
        found, seconds = [], np.empty(len(queries))
        work = busy()
        for row in range(len(queries)):
            start = clock()
            answer = index.search_rows(queries[row : row + 1], k)
            seconds[row] = clock() - start
            found.append(answer.rows)
        work = busy() - work
    asked = slice(1, None, 2)
    recalls = true_recalls(
        np.concatenate(found)[asked],
        vectors=exam.vectors,
        probes=exam.queries[asked],
        bound=exam.bound[asked],
    )
    p50, p95 = np.quantile(1000 * seconds, [0.5, 0.95])
    return Weighed(
        variant=variant,
        settings=dict(index.settings),
        recall=bootstrap_mean(recalls, samples=samples, confidence=confidence, seed=seed),
        p50_ms=float(p50),
        p95_ms=float(p95),
        busy_ms=1000 * work / len(queries),
        bytes=size,
        build_seconds=built,
    )


def cut(vectors: np.ndarray, width: int) -> np.ndarray:
    """(n, d) unit rows to their first coordinates, unit length again."""
    return np.ascontiguousarray(narrowed(torch.from_numpy(vectors), width).numpy())
