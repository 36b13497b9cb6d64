"""All texts of a run, tokenised once and in one row, so that a whole batch is one forward."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from perennial.model.examples import Batch, Examples
from perennial.model.trainable import Trainable

Part = tuple[str, Batch]  # the name of a set of examples, and a batch of it


class Shelf:
    """Where the queries and documents of several sets of examples stand among `tokens`."""

    def __init__(self, model: Trainable, sets: Mapping[str, Examples]) -> None:
        texts: list[str] = []
        self._first: dict[str, tuple[int, int]] = {}
        for name, examples in sets.items():
            self._first[name] = len(texts), len(texts) + len(examples.queries)
            texts += [*examples.queries, *examples.documents]
        self.tokens = model.prepare(texts)
        first = {text: row for row, text in reversed(list(enumerate(texts)))}
        self._names = np.array([first[text] for text in texts])

    def queries(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Rows of a set's queries to rows of all texts."""
        return self._first[name][0] + rows

    def documents(self, name: str, rows: np.ndarray) -> np.ndarray:
        """The same for its documents."""
        return self._first[name][1] + rows

    def names(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Rows of a set's documents to numbers that the same texts share, whatever their set."""
        names: np.ndarray = self._names[self.documents(name, rows)]
        return names

    def rows(self, parts: Sequence[Part]) -> np.ndarray:
        """Batches to rows of all texts: the first one's queries, its documents, the next one's."""
        every = [
            rows
            for name, batch in parts
            for rows in (self.queries(name, batch.queries), self.documents(name, batch.documents))
        ]
        return np.concatenate(every)


def parted(vectors: torch.Tensor, parts: Sequence[Part]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Vectors in the order of `Shelf.rows` to (queries, documents) of each batch."""
    sizes = [size for _, batch in parts for size in (len(batch.queries), len(batch.documents))]
    cut = torch.split(vectors, sizes)
    return list(zip(cut[::2], cut[1::2], strict=True))
