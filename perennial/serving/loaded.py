"""A release in memory: the encoder and the index that it made, searched as one thing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import category

import numpy as np

from perennial.errors import BadInput
from perennial.index.bridge import Bridge, read_bridge
from perennial.index.index import Index
from perennial.model.encoder import Encoder
from perennial.release.caching.cache import Fetching, InUse, ReleaseCache, unseen
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.store import Store
from perennial.serving.answer import Answer
from perennial.serving.finding import find_answers
from perennial.serving.parts import check_one_whole, common_rows
from perennial.serving.runtime import Runtime, answers_alike, open_encoder
from perennial.serving.warm import first_queries

_FIRST_QUERIES = 4
# What validate refuses in a log, too: Unicode's separators, controls and formats.
_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Co"})


@dataclass(frozen=True)
class LoadedRelease:
    """Immutable, so that any number of threads may search it while another one replaces it."""

    release_id: str
    encoder: Encoder
    index: Index  # without the documents that are hidden
    whole: Index
    manifest: Manifest
    in_use: InUse  # of its folder in the cache
    bridge: Bridge | None = None  # to the index, where another encoder made it
    mask: str | None = None  # the digest of the object that names the hidden documents
    fuse: bool = False  # vectors and words decide together

    def search_many(
        self, queries: Sequence[str], k: int = 10, *, slice: str | None = None
    ) -> list[Answer]:
        """The k nearest documents of each query, of one slice where it is given.

        Raises BadInput for an empty query or k < 1.
        """
        check_queries(queries, k)
        if not queries:
            return []
        return self.find(self.embed(queries), k, slice=slice, queries=queries)

    def embed(self, queries: Sequence[str]) -> np.ndarray:
        """(q, d) rows of the index's space for checked queries, q at least 1."""
        vectors = self.encoder.encode(queries)
        return vectors if self.bridge is None else self.bridge.apply(vectors)

    def find(
        self,
        vectors: np.ndarray,
        k: int,
        *,
        slice: str | None = None,
        queries: Sequence[str] | None = None,
    ) -> list[Answer]:
        """The k nearest documents of each of the (q, d) rows that `embed` made; with `queries`, the
        texts of those, by words too."""
        return find_answers(
            self.release_id,
            self.index,
            vectors,
            k,
            slice=slice,
            queries=queries,
            fuse=self.fuse,
        )

    def hiding(self, doc_ids: Collection[str], *, mask: str | None) -> "LoadedRelease":
        """The same release without those documents, and with all others."""
        return replace(self, index=self.whole.hiding(doc_ids), mask=mask)


def load_release(
    store: Store,
    release_id: str,
    cache: Path | ReleaseCache,
    *,
    key: bytes | None = None,
    beside: LoadedRelease | None = None,
    mmap: bool = False,
    asked: Sequence[str] = (),
    progress: Fetching = unseen,
    runtime: Runtime = "torch",
    fuse: bool = False,
) -> LoadedRelease:
    """Fetch, verify, open, ask it a few queries: its own, or those that were `asked` last.

    What it has in common with the release `beside` it is in memory once. Raises IntegrityError,
    EncoderMismatch, and whatever keeps the store or the cache away.
    """
    cache = ReleaseCache(cache) if isinstance(cache, Path) else cache
    cached = cache.open(store, release_id, key=key, progress=progress)
    manifest, directory = cached.manifest, cached.directory
    if beside is not None and answers_alike(beside.manifest, manifest, runtime=runtime):
        encoder = beside.encoder
    else:
        encoder = open_encoder(manifest, directory, runtime=runtime)
    bridge = None
    if manifest.bridge is not None:
        bridge = read_bridge(directory / "bridge" / manifest.bridge.map.path)
    index = Index.open(
        directory / "index",
        encoder_digest=manifest.index_encoder,
        mmap=mmap,
        loaded=common_rows(manifest, beside.manifest, beside.whole) if beside else None,
        words=True,
    )
    if not mmap:
        index = index.gathered()
    check_one_whole(manifest, encoder=encoder, bridge=bridge, index=index)
    loaded = LoadedRelease(
        release_id, encoder, index, index, manifest, cached.in_use, bridge, fuse=fuse
    )
    # One is enough where encoder and vectors are warm already, and costs the queries beside least.
    count = 1 if beside is not None and encoder is beside.encoder else _FIRST_QUERIES
    for query in first_queries(directory, otherwise=asked, count=count):
        loaded.search_many([query])
    return loaded


def is_blank(query: str) -> bool:
    """True where nothing of it can be seen: white space, control and zero-width characters."""
    if query.isascii() and query.isprintable():
        return not query or query.isspace()
    return all(category(each) in _UNSEEN for each in query)


def check_queries(queries: Sequence[str], k: int) -> None:
    """Raise BadInput for a query that is empty or no valid text, or for k below 1."""
    if k < 1:
        raise BadInput(f"k is {k}; ask for at least one document")
    for position, query in enumerate(queries):
        if is_blank(query):
            raise BadInput(f"query {position + 1} of {len(queries)} is empty; write some words")
        if query.isascii():
            continue
        try:
            query.encode()
        except UnicodeEncodeError as error:
            which = f"query {position + 1} of {len(queries)}"
            raise BadInput(f"{which} is not valid text; write it in UTF-8") from error
