"""Random features whose products are a kernel's values: a mean of them stands for a distribution.

Rahimi and Recht 2007, "Random Features for Large-Scale Kernel Machines", algorithm 1; the distance
of two means is the maximum mean discrepancy, Gretton et al. 2012, "A Kernel Two-Sample Test".
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
_PAIRS = 2000  # that tell the median distance
_SCALES = (1.0, 0.5)  # of it: whole distributions, and topics inside them


def frequencies(vectors: Floats, *, count: int, seed: int) -> Floats:
    """(d, 2 count) directions for Gaussian kernels of the (n, d) vectors' median distance and half
    of it."""
    generator = np.random.default_rng(seed)
    one, other = generator.integers(0, len(vectors), (2, _PAIRS))
    distances = np.linalg.norm(vectors[one] - vectors[other], axis=1)
    positive = distances[distances > 0]
    median = float(np.median(positive)) if len(positive) else 1.0
    drawn = [
        generator.standard_normal((vectors.shape[1], count)) / (scale * median) for scale in _SCALES
    ]
    return np.asarray(np.concatenate(drawn, axis=1), dtype=np.float32)


def features(vectors: Floats, directions: Floats) -> Floats:
    """(n, d) vectors and (d, f) directions to (n, 2 f) features, rows of norm 1."""
    angles = vectors @ directions
    both = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(both / np.sqrt(directions.shape[1]), dtype=np.float32)
