"""What a worker does: made ready once with files that came along, then done shard by shard.

Work travels to the workers as it is; what it answers is a function of its shard.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from perennial.errors import IntegrityError
from perennial.index.codes import row_codes
from perennial.index.exact import exact_search
from perennial.index.narrow import narrow_search
from perennial.index.template import FILE_NAME, read_template
from perennial.model.digest import directory_digest, file_digest
from perennial.model.encoder import load_encoder


class Work(Protocol):
    """One kind of work."""

    def ready(self, folder: Path) -> Callable[..., Any]:
        """What answers a shard's parts, from the files in the folder, which goes afterwards."""


@dataclass(frozen=True)
class Embed:
    """Texts to their vectors, by the encoder with this digest."""

    digest: str
    batch_size: int

    def ready(self, folder: Path) -> Callable[..., Any]:
        """The encoder's own; raises IntegrityError before anything else is read of the folder."""
        if (found := directory_digest(folder)) != self.digest:
            raise IntegrityError(
                f"the encoder that came to a worker is {found}, not {self.digest}; run again, and "
                "look at that machine's disk and memory when it comes back"
            )
        return load_encoder(folder, batch_size=self.batch_size).encode


@dataclass(frozen=True)
class Encode:
    """Vectors of some dimensions to their lists and codes, by the template with this digest."""

    digest: str
    dimension: int

    def ready(self, folder: Path) -> Callable[..., Any]:
        """The template's own; raises IntegrityError."""
        if (found := file_digest(folder / FILE_NAME)) != self.digest:
            raise IntegrityError(
                f"the quantizer that came to a worker is {found}, not {self.digest}; run again"
            )
        template, _ = read_template(folder / FILE_NAME, dimension=self.dimension)
        return partial(row_codes, template=template)


@dataclass(frozen=True)
class Search:
    """Queries, some documents' vectors and k to their (scores, rows), both (q, k)."""

    is_narrow: bool

    def ready(self, folder: Path) -> Callable[..., Any]:
        """A search by float32, or a narrow one that finds the same; it needs no file."""
        return self._search

    def _search(
        self, queries: np.ndarray, vectors: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.is_narrow:
            return narrow_search(queries, vectors, k)
        return exact_search(queries, [(np.arange(len(vectors)), vectors)], k)
