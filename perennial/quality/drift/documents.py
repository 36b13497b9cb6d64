"""What the catalogue says: are the documents still those that the index and the encoder know?"""

import numpy as np
import numpy.typing as npt

from perennial.quality.drift.clouds import compare
from perennial.quality.drift.embeddings import cloud_signals
from perennial.quality.drift.novelty import novel
from perennial.quality.drift.rates import tails
from perennial.quality.drift.signal import About, Signal

Floats = npt.NDArray[np.floating]


def document_signals(
    sample: Floats,
    reference: Floats,
    *,
    about: About,
    floor: float,
    min_documents: int,
    least: float,
    seed: int,
) -> list[Signal]:
    """(n, d) documents of the catalogue beside the (m, d) that were kept with the champion."""
    if min(len(sample), len(reference)) < min_documents:
        return []
    clouds = compare(sample, reference, least=least, seed=seed)
    return cloud_signals(clouds, about=about, hours=0, floor=floor, beside="the champion")


def arrival_signals(
    waiting: Floats,
    reference: Floats,
    *,
    about: About,
    novel_share: float,
    floor: float,
    min_documents: int,
) -> list[Signal]:
    """(n, d) documents that no index holds yet: are they of a kind that the (m, d) were not of?"""
    if len(waiting) < min_documents or len(reference) < min_documents:
        return []
    n = len(waiting)
    rows = np.arange(n + len(reference))
    # Each reference has a day of its own: it is not compared with itself.
    flags = novel(np.concatenate([waiting, reference]), rows, rows, rows >= n, share=novel_share)
    hits = int(flags[:n].sum())
    p = tails(hits, n, share=novel_share, correlation=1 / len(reference))[1]
    said = (
        f"{hits / n:.1%} of {n:,} documents that the index lacks resemble none that it was built "
        f"of, where {novel_share:.1%} are usual"
    )
    return [Signal("new kind of documents", about, 0, hits / n - novel_share, floor, p, n, said)]


def freshness_signals(
    *,
    waiting: int,
    documents: int,
    oldest_hours: float,
    max_share: float,
    max_hours: float,
    page_hours: float,
) -> list[Signal]:
    """How much of the catalogue the index lacks, and for how long; the latter by no chance."""
    share = waiting / documents
    behind = oldest_hours if waiting else 0.0
    said = f"{waiting:,} of {documents:,} documents differ from what the index holds"
    late = f"the oldest of {waiting:,} changes waits for {behind:,.1f} hours"
    stuck = f"{late}: reindexing does not get through"
    return [
        Signal("index is behind", "documents", 0, share, max_share, None, documents, said),
        Signal("changes wait", "documents", 0, behind, max_hours, None, waiting, late),
        Signal("changes are stuck", "operation", 0, behind, page_hours, None, waiting, stuck),
    ]
