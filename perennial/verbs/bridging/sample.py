"""What a bridge is fitted and measured on: documents and queries that both encoders embedded."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.catalogue import Documents, read_texts
from perennial.errors import BadInput
from perennial.model.encoder import Encoder
from perennial.model.vectors import VectorCache
from perennial.release.manifests.documents import live_documents
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.store import Store

Progress = Callable[[str, int, int], None]
"""Is told which encoder embeds, how many texts it has done, and of how many."""
_TITLE = 80  # characters of a document that stand in for a query


@dataclass(frozen=True)
class Sample:
    """Documents and queries under both encoders; no map is fitted where `held` is True."""

    new: np.ndarray  # (n, new dimension)
    old: np.ndarray  # (n, old dimension)
    held: np.ndarray  # (n,) bool
    asked_new: np.ndarray  # (q, new dimension)
    asked_old: np.ndarray  # (q, old dimension)

    def measuring(self, queries: slice) -> "Sample":
        """The same with only those of its queries."""
        asked = {"asked_new": self.asked_new[queries], "asked_old": self.asked_old[queries]}
        return replace(self, **asked)


def common_rows(store: Store, champion: Manifest, documents: Documents) -> np.ndarray:
    """(m,) rows of the catalogue that the champion's index holds in today's text.

    Raises BadInput where there is none.
    """
    held = live_documents(store, champion)
    rows = np.flatnonzero(
        pc.is_in(
            _named(documents.doc_ids, documents.text_digests),
            value_set=_named(held["doc_id"], held["text_digest"]).combine_chunks(),
        ).to_numpy(zero_copy_only=False)
    )
    if not len(rows):
        raise BadInput(
            f"no document of the catalogue stands in the index of {champion.release_id} with its "
            "text of today; import the catalogue that it was made of, or reindex it first"
        )
    return rows


def logged_queries(store: Store, champion: Manifest) -> list[str]:
    """The release's own reference queries; none where it was made before the first log."""
    if champion.references is None:
        return []
    data = io.BytesIO(store.read(champion.references.queries.digest))
    with pq.ParquetFile(data) as stream:
        found = stream.read(columns=["query"])["query"].to_pylist()
    return [query for query in found if query and query.strip()]


def embed_sample(
    documents: Documents,
    rows: np.ndarray,
    *,
    new: Encoder,
    old: Encoder,
    logged: Sequence[str],
    count: int,
    held_out_share: float,
    queries: int,
    vectors: Path,
    seed: int,
    progress: Progress,
) -> Sample:
    """Up to `count` of those rows, drawn at random, under both encoders.

    Before the first log the beginnings of held-out documents stand in for queries.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.permutation(rows)[:count]
    held = np.zeros(len(drawn), dtype=bool)
    held[: round(held_out_share * len(drawn))] = True
    ours = embed(documents, drawn, encoder=new, vectors=vectors, what="new", progress=progress)
    theirs = embed(documents, drawn, encoder=old, vectors=vectors, what="old", progress=progress)
    if logged:
        chosen = np.sort(generator.permutation(len(logged))[:queries])
        asked = [logged[row] for row in chosen]
    else:
        asked = [text[:_TITLE] for text in read_texts(documents, drawn[held][:queries])]
    # A query without a token that the new encoder knows has no answers to be compared with.
    known = np.flatnonzero(np.any(new.encode(asked) != 0, axis=1))
    asked = [asked[row] for row in known]
    return Sample(ours, theirs, held, new.encode(asked), old.encode(asked))


def embed(
    documents: Documents,
    rows: np.ndarray,
    *,
    encoder: Encoder,
    vectors: Path,
    what: str,
    progress: Progress,
) -> np.ndarray:
    """(n, d) rows of the documents, through the vector cache: what it holds is not embedded again,
    neither here nor by the full re-embedding that comes later."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(what, done, len(rows))

    digests = documents.text_digests.take(pa.array(rows)).to_pylist()
    with VectorCache.open(
        vectors, encoder_digest=encoder.digest, dimension=encoder.dimension
    ) as cache:
        return cache.embed(encoder, read_texts(documents, rows), digests, progress=count)


def _named(doc_ids: pa.Array, digests: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(doc_ids, digests, "\t")
