"""Whether embeddings still use their space: variance, effective rank, similarity of strangers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perennial.errors import BadInput

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """The health of n embeddings; a collapsed encoder has an effective rank of 1."""

    variance: tuple[float, ...]  # per dimension
    variance_mean: float
    variance_min: float
    effective_rank: float
    mean_similarity: float


def spread(vectors: npt.NDArray[np.floating], *, pairs: int, seed: int) -> Spread:
    """(n, d) unit vectors to their Spread; raises BadInput for fewer than 2, NaN or Inf."""
    if len(vectors) < 2:
        raise BadInput(f"{len(vectors)} vectors have no spread; embed at least two documents.")
    if not np.isfinite(vectors).all():
        bad = int((~np.isfinite(vectors)).any(axis=1).sum())
        raise BadInput(
            f"{bad} of {len(vectors)} vectors hold NaN or Inf; the encoder is broken: train again "
            "with a smaller learning rate."
        )
    variance = vectors.var(axis=0, dtype=np.float64)
    return Spread(
        variance=tuple(float(value) for value in variance),
        variance_mean=float(variance.mean()),
        variance_min=float(variance.min()),
        effective_rank=effective_rank(vectors),
        mean_similarity=_mean_similarity(vectors, pairs, seed),
    )


def effective_rank(vectors: npt.NDArray[np.floating]) -> float:
    """exp of the entropy of the singular values as shares of their sum, between 1 and min(n, d).

    Roy and Vetterli 2007, "The effective rank". Not centred, so that vectors which all point one
    way have rank 1; no vectors, or only zeros, have rank 0.
    """
    table = vectors.astype(np.float64)
    gram = table.T @ table if table.shape[1] <= table.shape[0] else table @ table.T
    squares = np.linalg.eigvalsh(gram)
    # Squaring loses half the digits: what is below is rounding, not a dimension.
    squares = squares[squares > squares.max(initial=0.0) * 1e-12]
    if not len(squares):
        return 0.0
    shares = np.sqrt(squares)
    shares /= shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _mean_similarity(vectors: npt.NDArray[np.floating], pairs: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    one = rng.integers(0, len(vectors), size=pairs)
    other = (one + rng.integers(1, len(vectors), size=pairs)) % len(vectors)  # never itself
    products = vectors[one].astype(np.float64) * vectors[other]
    return float(products.sum(axis=1).mean())
