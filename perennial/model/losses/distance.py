"""How near two vectors are; a distance answers questions, so that no loss asks which it is."""

from typing import Protocol

import torch

_ROUNDING = 32  # of the machine's precision, in a squared distance of unit vectors


class Distance(Protocol):
    """Between rows of two matrices."""

    def near(self, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        """(b, d) and (n, d) unit rows to (b, n), greater where nearer."""

    def apart(self, near: torch.Tensor) -> torch.Tensor:
        """What `near` says, as a distance: 0 for the same vector."""


class Cosine:
    """Nearness is the cosine, distance 1 minus it: 0 to 2."""

    def near(self, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        """(b, n) cosines."""
        return queries @ documents.T

    def apart(self, near: torch.Tensor) -> torch.Tensor:
        """1 - cosine."""
        return 1 - near


class Euclidean:
    """Nearness is minus the distance, which lies between 0 and 2, too."""

    def near(self, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        """(b, n) distances, negated; zero, and without gradient, where rounding hides them.

        In float32 that is below 0.002.
        """
        # torch.cdist without rounding took six times as long (786 x 786 x 256, and backward).
        lengths = (queries * queries).sum(dim=1)[:, None] + (documents * documents).sum(dim=1)
        squared = lengths - 2 * (queries @ documents.T)
        # The root has no slope at zero: NaN in the gradient, even where a mask forgets the pair.
        is_same = squared < _ROUNDING * torch.finfo(squared.dtype).eps
        return -squared.masked_fill(is_same, 1.0).sqrt().masked_fill(is_same, 0.0)

    def apart(self, near: torch.Tensor) -> torch.Tensor:
        """The distance."""
        return -near
