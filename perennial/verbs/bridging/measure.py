"""How much of the new encoder's own answers a bridged search finds, and the champion without it."""

from dataclasses import dataclass

import numpy as np

from perennial.index.agreement import exact_rows, recall_against_exact
from perennial.index.bridge import Bridge
from perennial.index.index import Index
from perennial.quality.paired import Difference, Interval, bootstrap_mean, paired_difference
from perennial.verbs.bridging.sample import Sample

K = 10


@dataclass(frozen=True)
class Measured:
    """recall@10 against exact search under the new encoder over `documents` documents.

    `gain` is bridged less champion: the old encoder's queries on the old index, as it is served.
    """

    bridged: Interval
    champion: Interval
    gain: Difference
    documents: int


def measure_sampled(
    bridge: Bridge, sample: Sample, *, samples: int, confidence: float, seed: int
) -> Measured:
    """On the held-out documents alone, searched exactly: what the map itself loses."""
    ours, theirs = sample.new[sample.held], sample.old[sample.held]
    return _measured(
        _exact(bridge.apply(sample.asked_new), theirs),
        _exact(sample.asked_old, theirs),
        asked=sample.asked_new,
        documents=ours,
        samples=samples,
        confidence=confidence,
        seed=seed,
    )


def measure_full(
    bridge: Bridge,
    sample: Sample,
    *,
    index: Index,
    doc_ids: list[str],
    vectors: np.ndarray,
    samples: int,
    confidence: float,
    seed: int,
) -> Measured:
    """Through the champion's index as it is served, against the full re-embedding.

    `vectors` (n, d) are the new encoder's of `doc_ids`; of a document that is not among them, an
    answer does not count.
    """
    row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}

    def search(queries: np.ndarray) -> np.ndarray:
        _, names = index.search(queries, min(K, len(doc_ids)))
        rows = [[row_of.get(name, -1) for name in found] for found in names.tolist()]
        return _without_direction(np.array(rows).reshape(names.shape), queries)

    return _measured(
        search(bridge.apply(sample.asked_new)),
        search(sample.asked_old),
        asked=sample.asked_new,
        documents=vectors,
        samples=samples,
        confidence=confidence,
        seed=seed,
    )


def _measured(
    bridged: np.ndarray,
    champion: np.ndarray,
    *,
    asked: np.ndarray,
    documents: np.ndarray,
    samples: int,
    confidence: float,
    seed: int,
) -> Measured:
    ours = recall_against_exact(bridged, queries=asked, documents=documents)
    theirs = recall_against_exact(champion, queries=asked, documents=documents)
    return Measured(
        bridged=bootstrap_mean(ours, samples=samples, confidence=confidence, seed=seed),
        champion=bootstrap_mean(theirs, samples=samples, confidence=confidence, seed=seed),
        gain=paired_difference(ours, theirs, samples=samples, confidence=confidence, seed=seed),
        documents=len(documents),
    )


def _exact(queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    return _without_direction(exact_rows(queries, documents, K), queries)


def _without_direction(rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """A query without a known token finds nothing, as it does when it is served."""
    pointing = np.any(queries != 0, axis=1)
    return np.where(pointing[:, None], rows, -1)
