"""Whether two samples of embeddings are of one distribution, asked in three ways."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perennial.quality.drift.classifier import separability
from perennial.quality.drift.kernel import features, frequencies
from perennial.quality.drift.permuted import permuted_p

Floats = npt.NDArray[np.floating]
_DIRECTIONS = 32  # per scale of the kernel
_PROJECTED = 64  # coordinates in which centroids are compared: their distance stays, nearly
_RIDGE = 0.1


@dataclass(frozen=True)
class Clouds:
    """The p-values of MMD, centroid shift and domain classifier, and that one's held-out AUC."""

    mmd: float
    centroid: float
    classifier: float
    auc: float
    n: int


def compare(one: Floats, other: Floats, *, least: float, seed: int) -> Clouds:
    """(n, d) and (m, d) unit vectors to Clouds; no permutation p is below `least`."""
    both = np.concatenate([one, other]).astype(np.float32)
    seen = features(both, frequencies(both, count=_DIRECTIONS, seed=seed))
    centred = _projected(both, seed=seed)
    mmd, centroid = permuted_p(
        np.concatenate([seen, centred], axis=1),
        len(one),
        widths=(seen.shape[1], centred.shape[1]),
        least=least,
        seed=seed,
    )
    auc, classifier = separability(one, other, ridge=_RIDGE, seed=seed)
    return Clouds(mmd, centroid, classifier, auc, len(one))


def _projected(vectors: Floats, *, seed: int) -> Floats:
    """Johnson and Lindenstrauss 1984; narrow vectors stay as they are."""
    if vectors.shape[1] <= _PROJECTED:
        return vectors
    drawn = np.random.default_rng(seed).standard_normal((vectors.shape[1], _PROJECTED))
    return np.asarray(vectors @ drawn.astype(np.float32))
