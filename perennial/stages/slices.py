"""k-NN accuracy of a release: whether what lies near a query or a document is of its slice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from perennial.index.index import Index
from perennial.model.encoder import Encoder
from perennial.quality.neighbours import slice_accuracy
from perennial.quality.paired import bootstrap_mean


def knn_accuracy(
    encoder: Encoder,
    index: Index,
    found: np.ndarray,
    *,
    query_slices: Sequence[str | None],
    doc_ids: Sequence[str],
    texts: Sequence[str],
    slices: Sequence[str | None],
    neighbours: int,
    documents: int,
    samples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Shares of held-out queries, and of sampled documents, whose k nearest documents tell theirs.

    `found` is (q, k) answers. Only where there are two slices or more: else every vote is right.
    """
    slice_of = {d: s for d, s in zip(doc_ids, slices, strict=True) if s is not None}
    if len(set(slice_of.values())) < 2:
        return {}
    known = np.array([row for row, d in enumerate(doc_ids) if d in slice_of])
    rows = known
    if len(known) > documents:
        rows = np.sort(np.random.default_rng(seed).choice(known, documents, replace=False))
    own = [doc_ids[row] for row in rows]
    _, near = index.search(encoder.encode([texts[row] for row in rows]), neighbours + 1)
    drawn: dict[str, Any] = {"samples": samples, "confidence": confidence, "seed": seed}
    # A query of a slice that no document has cannot be told; it would only say so.
    named = set(slice_of.values())
    asked = [name if name in named else None for name in query_slices]
    return {
        side: {
            key: None if number is None else round(number, 6)
            for key, number in bootstrap_mean(values, **drawn).as_dict().items()
        }
        for side, values in (
            ("queries", slice_accuracy(_slices(found[:, :neighbours], slice_of), asked)),
            (
                "documents",
                slice_accuracy(
                    _slices(_others(near, own), slice_of), [slice_of[name] for name in own]
                ),
            ),
        )
    }


def _others(near: np.ndarray, own: Sequence[str]) -> np.ndarray:
    """(n, k + 1) neighbours without the document itself or, where it is not there, the last."""
    is_other = near != np.array(own, dtype=object)[:, None]
    order = np.argsort(~is_other, axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1)[:, :-1]


def _slices(names: np.ndarray, slice_of: Mapping[str, str]) -> np.ndarray:
    found = pd.Series(names.ravel(), dtype=object).map(dict(slice_of))
    return found.to_numpy(dtype=object).reshape(names.shape)
