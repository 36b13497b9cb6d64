"""How near two vectors are; a distance answers questions, so that no loss asks which it is."""

from typing import Protocol

import torch


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
        """(b, n) distances, negated; the gradient of two equal vectors is zero, not NaN."""
        # By a product it would be faster, and 3e-4 off in float32 where two vectors are the same.
        mode = "donot_use_mm_for_euclid_dist"
        return -torch.cdist(queries, documents, compute_mode=mode)

    def apart(self, near: torch.Tensor) -> torch.Tensor:
        """The distance."""
        return -near
