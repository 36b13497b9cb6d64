"""What of some documents must go: the releases that keep it, and its traces in stored bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perennial.release.forgetting.references import near_to
from perennial.release.forgetting.sources import Sources
from perennial.release.forgetting.traces import Traces
from perennial.release.manifests.manifest import Manifest

NOTHING = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Sought:
    """`old` are the releases to rewrite; `vectors` are the documents' (h, d) rows by the encoder
    that made them; `text_digests` those of every version that is still indexed."""

    old: tuple[Manifest, ...]
    traces: Traces
    vectors: dict[str, np.ndarray]
    text_digests: frozenset[str]


def seek(sources: Sources, manifests: Sequence[Manifest]) -> Sought:
    """Look into every release: into its rows, and into the references that it carries on.

    Bytes that a row of another document has too are no trace: they stay, as that document's.
    """
    holding = [each for each in manifests if sources.holds(each)]
    found = [
        (manifest.index_encoder, sources.found(manifest, segment))
        for manifest in holding
        for segment in manifest.index.segments
        if sources.hidden(segment).any()
    ]
    stored = frozenset(code for _, each in found for code in each.stored if code)
    alone = stored - _of_others(sources, manifests, stored)
    by_encoder: dict[str, list[np.ndarray]] = {}
    unshared: dict[str, list[np.ndarray]] = {}
    for encoder, each in found:
        by_encoder.setdefault(encoder, []).append(each.vectors)
        own = np.array([not code or code in alone for code in each.stored], dtype=bool)
        unshared.setdefault(encoder, []).append(each.vectors[own])
    vectors = {encoder: np.concatenate(parts) for encoder, parts in by_encoder.items()}
    carrying = [
        manifest
        for manifest in manifests
        if manifest not in holding
        and _refers_to(sources, manifest, unshared.get(manifest.encoder.digest, []))
    ]
    return Sought(
        old=(*holding, *carrying),
        traces=Traces(tuple(sources.doc_ids), alone),
        vectors=vectors,
        text_digests=frozenset[str]().union(
            *(each.text_digests for _, each in found),
            *(sources.waiting_digests(manifest) for manifest in holding),
        ),
    )


def _of_others(
    sources: Sources, manifests: Sequence[Manifest], stored: frozenset[bytes]
) -> frozenset[bytes]:
    """Which of the bytes some row of another document has, living or dead, in any release."""
    segments = {
        (segment.vectors.digest, segment.ids.digest): (manifest, segment)
        for manifest in manifests
        for segment in manifest.index.segments
    }
    shared = frozenset[bytes]()
    for manifest, segment in segments.values():
        if shared == stored:
            break
        shared |= sources.kept_by_others(manifest, segment, stored - shared)
    return shared


def _refers_to(sources: Sources, manifest: Manifest, vectors: Sequence[np.ndarray]) -> bool:
    if manifest.references is None or not vectors:
        return False
    data = io.BytesIO(sources.store.read(manifest.references.vectors.digest))
    kept = np.load(data, allow_pickle=False)
    return bool(near_to(kept, np.concatenate(vectors), factory=manifest.index.factory).any())
