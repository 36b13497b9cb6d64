"""Sentinel queries: labelled ones that are asked at every look, and must go on being answered."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from perennial.errors import PerennialError
from perennial.quality.drift.signal import Signal
from perennial.release.watched import Sentinels
from perennial.serving.loaded import LoadedRelease

_K = 10


def sentinel_labels(source: Path, *, most: int) -> dict[str, set[str]]:
    """Some labelled queries and their relevant documents, the same ones at every look."""
    path = source / "judgements.parquet"
    if not most or not path.exists():
        return {}
    with pq.ParquetFile(path) as file:
        rows = file.read(columns=["query", "doc_id", "grade"]).to_pylist()
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["grade"] >= 1 and row["query"].strip():
            found.setdefault(row["query"], set()).add(row["doc_id"])
    chosen = sorted(found, key=lambda query: hashlib.sha256(query.encode()).digest())[:most]
    return {query: found[query] for query in chosen}


def recall_of(release: LoadedRelease, labels: dict[str, set[str]]) -> float:
    """Mean recall@10 of the queries over those of their documents that the release holds."""
    held = set(release.index.doc_ids())
    asked = {query: relevant & held for query, relevant in labels.items()}
    asked = {query: relevant for query, relevant in asked.items() if relevant}
    if not asked:
        return float("nan")
    answers = release.search_many(list(asked), _K)
    return float(
        np.mean(
            [
                len(relevant & set(answer.doc_ids)) / min(len(relevant), _K)
                for relevant, answer in zip(asked.values(), answers, strict=True)
            ]
        )
    )


def sentinel_signal(
    release: LoadedRelease | PerennialError,
    labels: dict[str, set[str]],
    was: Sentinels | None,
    *,
    floor: float,
) -> tuple[list[Signal], Sentinels | None]:
    """What they find beside what they found at first, and that; a release that cannot be opened is
    a signal of its own."""
    if isinstance(release, PerennialError):
        broken = f"the release that serves cannot be opened: {release}".rstrip(".")
        return [Signal("release", "operation", 0, 1.0, 0.5, None, 1, broken)], was
    if not labels:
        return [], was
    recall = recall_of(release, labels)
    if np.isnan(recall):
        return [], was
    text = "\n".join(f"{query}\t{sorted(docs)}" for query, docs in sorted(labels.items()))
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    lineage = release.manifest.lineage
    if was is None or (was.lineage, was.queries) != (lineage, digest):
        was = Sentinels(lineage, digest, round(recall, 6))
    lost = was.recall - recall
    said = (
        f"{len(labels):,} sentinel queries find {recall:.1%} of their answers in the top {_K}, "
        f"where they found {was.recall:.1%} when this lineage was first watched"
    )
    return [Signal("sentinels", "operation", 0, lost, floor, None, len(labels), said)], was
