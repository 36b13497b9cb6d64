"""Three linear maps between the spaces of two encoders, fitted on what both have embedded.

Rows of `new` (n, a) and `old` (n, b) are the same texts under the new and the old encoder.
"""

import numpy as np
from scipy import linalg

from perennial.errors import BadInput
from perennial.index.bridge import Bridge

KINDS = ("orthogonal", "affine", "adjoint")


def fit_bridge(
    kind: str, *, new: np.ndarray, old: np.ndarray, ridge: float, rank: int | None = None
) -> Bridge:
    """(n, a) and (n, b) rows to the bridge of a kind; raises BadInput for what cannot fit one."""
    if kind not in KINDS:
        raise BadInput(f"{kind!r} is no bridge; choose one of {', '.join(KINDS)}")
    _check(new, old, rank)
    ours, theirs = new.astype(np.float64), old.astype(np.float64)
    if kind == "orthogonal":
        return _bridge(_orthogonal(ours, theirs), np.zeros(theirs.shape[1]))
    if kind == "affine":
        matrix = _regression(ours, theirs, ridge=ridge, rank=rank)
        return _bridge(matrix, theirs.mean(axis=0) - ours.mean(axis=0) @ matrix)
    matrix = _regression(theirs, ours, ridge=ridge, rank=rank).T
    return _bridge(matrix, np.zeros(theirs.shape[1]))


def _orthogonal(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """U V' of new' old = U S V': the turn W that brings new W nearest to old (Schönemann 1966).

    Of two dimensions the smaller is padded with zeros, and the padding then left out. Lengths and
    angles stay as they are, or shrink where the old space is the smaller one.
    """
    left, _, right = linalg.svd(new.T @ old, full_matrices=False)
    return np.asarray(left @ right)


def _regression(x: np.ndarray, y: np.ndarray, *, ridge: float, rank: int | None) -> np.ndarray:
    """(n, a) to (n, b): W of least |X W - Y|² + ridge tr(X'X)/a |W|², both centred.

    With a rank, W is cut to the directions in which its answers vary most: reduced-rank regression
    (Izenman 1975). Turned round, for `adjoint`, old documents are regressed on new ones: q (d P)' =
    (q P') d is then the score that the new encoder is expected to give the document, and the
    intercept, the same for all documents, drops out.
    """
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    gram = x.T @ x
    weight = ridge * np.trace(gram) / len(gram)
    values, vectors = linalg.eigh(gram)
    # A direction that is nothing but the rounding of float32 is no reason for a huge number.
    floor = max(values[-1], 0.0) * (16 * float(np.finfo(np.float32).eps)) ** 2
    usable = values > floor
    inverse = np.divide(1.0, values + weight, out=np.zeros_like(values), where=usable)
    matrix: np.ndarray = (vectors * inverse) @ (vectors.T @ (x.T @ y))
    if rank is not None and rank < min(matrix.shape):
        _, directions = linalg.eigh(matrix.T @ gram @ matrix)
        kept = directions[:, -rank:]
        matrix = matrix @ kept @ kept.T
    return matrix


def _bridge(matrix: np.ndarray, offset: np.ndarray) -> Bridge:
    return Bridge(matrix.astype(np.float32), offset.astype(np.float32))


def _check(new: np.ndarray, old: np.ndarray, rank: int | None) -> None:
    if new.ndim != 2 or old.ndim != 2 or len(new) != len(old):
        raise BadInput(
            f"the encoders embedded {new.shape} and {old.shape}; a bridge is fitted on the same "
            "documents under both"
        )
    needed = max(new.shape[1], old.shape[1])
    if len(new) < needed:
        raise BadInput(
            f"{len(new)} documents are too few to fit a bridge from {new.shape[1]} to "
            f"{old.shape[1]} dimensions; embed at least {needed} under both encoders"
        )
    for rows, which in ((new, "new"), (old, "old")):
        if not np.isfinite(rows).all():
            bad = int((~np.isfinite(rows).all(axis=1)).sum())
            raise BadInput(
                f"{bad} of {len(rows)} vectors of the {which} encoder hold NaN or Inf; the encoder "
                "is broken: train again with a smaller learning rate"
            )
    if rank is not None and rank < 1:
        raise BadInput(f"the rank of a bridge is {rank}; give at least 1")
