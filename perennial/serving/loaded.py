"""A release in memory: the encoder and the index that it made, searched as one thing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perennial.errors import BadInput
from perennial.index.index import Index
from perennial.model.encoder import Encoder, load_encoder
from perennial.release.materialise import materialise
from perennial.release.store import Store


@dataclass(frozen=True)
class Hit:
    """One document found; rank counts from 1, score is the cosine."""

    doc_id: str
    score: float
    rank: int


@dataclass(frozen=True)
class Answer:
    """What one release found for one query, best first; fewer than k where it holds fewer."""

    release_id: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class LoadedRelease:
    """Immutable, so that any number of threads may search it while another one replaces it."""

    release_id: str
    encoder: Encoder
    index: Index

    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Answer]:
        """The k nearest documents of each query; raises BadInput for an empty query or k < 1."""
        check_queries(queries, k)
        if not queries:
            return []
        vectors = self.encoder.encode(queries)
        scores, doc_ids = self.index.search(vectors, k)
        # A query without a single known token has no direction: everything would be as near.
        pointing = np.any(vectors != 0, axis=1)
        return [
            Answer(self.release_id, _hits(names, row) if some else ())
            for names, row, some in zip(doc_ids, scores, pointing, strict=True)
        ]


def load_release(
    store: Store, release_id: str, cache: Path, *, key: bytes | None = None
) -> LoadedRelease:
    """Fetch into `cache`/<release_id>, verify, open; raises IntegrityError, EncoderMismatch."""
    directory = cache / release_id
    materialise(store, release_id, directory, key=key)
    encoder = load_encoder(directory / "encoder")
    index = Index.open(directory / "index", encoder_digest=encoder.digest)
    return LoadedRelease(release_id, encoder, index)


def check_queries(queries: Sequence[str], k: int) -> None:
    """Raise BadInput for a query that is empty or no valid text, or for k below 1."""
    if k < 1:
        raise BadInput(f"k is {k}; ask for at least one document")
    for position, query in enumerate(queries):
        if not query.strip():
            raise BadInput(f"query {position + 1} of {len(queries)} is empty; write some words")
        try:
            query.encode()
        except UnicodeEncodeError as error:
            which = f"query {position + 1} of {len(queries)}"
            raise BadInput(f"{which} is not valid text; write it in UTF-8") from error


def _hits(doc_ids: np.ndarray, scores: np.ndarray) -> tuple[Hit, ...]:
    found = [(name, score) for name, score in zip(doc_ids, scores, strict=True) if name is not None]
    return tuple(Hit(str(name), float(s), rank) for rank, (name, s) in enumerate(found, start=1))
