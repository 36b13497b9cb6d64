"""What the releases before the champion would answer today, if they served today's catalogue."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perennial.index.exact import chunks_of, exact_search
from perennial.index.known import known_vectors
from perennial.model.encoder import Encoder, load_encoder
from perennial.model.vectors import VectorCache
from perennial.workspace import Workspace


def earlier_releases(workspace: Workspace) -> list[Path]:
    """The folders of the frozen earlier releases, the last one first; none in an older snapshot."""
    folder = workspace.snapshot / "earlier"
    path = folder / "earlier.json"
    if not path.exists():
        return []
    return [folder / each["release_id"] for each in json.loads(path.read_text())["releases"]]


def answer_exactly(
    release: Path,
    queries: Sequence[str],
    k: int,
    *,
    doc_ids: Sequence[str],
    texts: Sequence[str],
    digests: Sequence[str],
    batch_size: int,
    cache: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """(scores, doc_ids), both (q, k): a release's encoder on n documents, by exact search.

    Exact, where the others search an index: its index is as old as it is. That favours it by what
    approximate search loses.
    """
    encoder = load_encoder(release / "encoder", batch_size=batch_size)
    vectors = document_vectors(
        encoder, release / "index", texts=texts, digests=digests, cache=cache
    )
    scores, rows = exact_search(encoder.encode(queries), chunks_of(vectors), k)
    names = np.array([*doc_ids, None], dtype=object)  # -1, nothing there, is the last
    return scores, names[rows]


def document_vectors(
    encoder: Encoder, index: Path, *, texts: Sequence[str], digests: Sequence[str], cache: Path
) -> np.ndarray:
    """(n, d) vectors: of unchanged texts those of the release's own index, the rest embedded."""
    vectors, known = known_vectors(index, encoder_digest=encoder.digest, digests=digests)
    if not known.all():
        unknown = np.flatnonzero(~known).tolist()
        with VectorCache.open(
            cache, encoder_digest=encoder.digest, dimension=encoder.dimension
        ) as kept:
            vectors[unknown] = kept.embed(
                encoder, [texts[i] for i in unknown], [digests[i] for i in unknown]
            )
    return vectors
