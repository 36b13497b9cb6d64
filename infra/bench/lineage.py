"""One lineage of releases on a disk, moved as the reindex verb moves it: the side "Perennial".

The vectors are given, so that embedding has a row of its own; everything else is the real thing:
comparison with the ids that the index holds, a segment, tombstones, a compaction when it is due, a
successor in the store, one channel write, and a reader that follows.
"""

import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.catalogue import Catalogue, write_encoder
from infra.bench.corpus import Change, Corpus
from infra.bench.measured import Cost, watched
from perennial.data.catalogue import Documents
from perennial.index.build import build_index
from perennial.index.changes import Changes, find_changes
from perennial.index.index import Index
from perennial.model.digest import directory_digest
from perennial.params.reading import load_params
from perennial.release.caching.cache import ReleaseCache
from perennial.release.channels.moves import promote, promote_reindexed
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.publish import publish
from perennial.release.publishing.successor import publish_successor
from perennial.release.stores.local import LocalStore
from perennial.release.stores.store import Store
from perennial.serving.loaded import LoadedRelease, load_release
from perennial.verbs.reindexing.base import Base
from perennial.verbs.reindexing.grow import compact_where_due, write_increment

CHANNEL = "production"
_START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Step:
    """What one update cost: comparing, then writing, publishing and moving the channel, then the
    reader; `is_compacted` where segments were merged on the way."""

    comparison: Cost
    writing: Cost
    following: Cost
    is_compacted: bool


@dataclass
class Lineage:
    """A store, the release that its channel serves, and a reader of it; `home` must be there."""

    home: Path
    factory: str
    recall_target: float
    seed: int
    generation: int = 0
    store: LocalStore = field(init=False)
    cache: ReleaseCache = field(init=False)
    served: LoadedRelease = field(init=False)

    def __post_init__(self) -> None:
        self.store = LocalStore(self.home / "store")
        self.cache = ReleaseCache(self.home / "cache")
        self.tuned = load_params(Path("params.yaml")).reindex

    def build(self, corpus: Corpus, catalogue: Catalogue) -> Cost:
        """A first release of the whole corpus, served: what it cost to build and publish."""
        write_encoder(self.home / "encoder", dimension=corpus.shape.dimension)
        vectors = np.array(corpus.initial)
        with watched() as cost:
            self.index(self.home / "index", catalogue, vectors, corpus.probes)
            manifest = self.publish(self.store, self.home / "index", catalogue)
        shutil.rmtree(self.home / "index")
        self.served = load_release(self.store, manifest.release_id, self.cache)
        return cost

    def index(
        self, folder: Path, catalogue: Catalogue, vectors: np.ndarray, probes: np.ndarray
    ) -> Index:
        """A fresh index of the live documents, whose vectors stand in their numbers' order."""
        documents = catalogue.documents(self.now())
        return build_index(
            folder,
            vectors=vectors,
            doc_ids=documents.doc_ids.to_pylist(),
            text_digests=documents.text_digests.to_pylist(),
            slices=documents.slices.to_pylist(),
            encoder_digest=directory_digest(self.home / "encoder"),
            factory=self.factory,
            recall_target=self.recall_target,
            memory_mb=4096,
            probes=np.ascontiguousarray(probes),
            seed=self.seed % 2**31,
            texts=catalogue.texts_of(np.arange(len(documents))),
        )

    def publish(self, store: Store, index: Path, catalogue: Catalogue) -> Manifest:
        """A whole release of the index, and the channel's first write."""
        manifest = publish(
            store,
            encoder=self.home / "encoder",
            index=index,
            references=None,
            catalogue=self._told(catalogue),
            health={},
            provenance={},
            parent=None,
            created_at=self.now(),
        )
        promote(store, CHANNEL, manifest.release_id, now=self.now(), why="first", who="bench")
        return manifest

    def update(self, change: Change, catalogue: Catalogue) -> Step:
        """Bring the catalogue, which has `change` already, into the served release."""
        self.generation += 1
        documents = catalogue.documents(self.now())
        place = self.home / "reindex"
        shutil.rmtree(place, ignore_errors=True)
        base = Base(self.store, self.served.manifest, cache=self.cache, folder=place / "base")
        with watched() as comparison:
            changes = compare(base, documents)
        vectors = catalogue.vectors_of(changes.fresh, change)
        texts = catalogue.texts_of(changes.fresh)
        with watched() as writing:
            grown = write_increment(
                base,
                documents,
                changes,
                vectors=vectors,
                texts=texts,
                fresh=place / "fresh",
                seed=self.seed,
            )
            grown = compact_where_due(
                base,
                grown,
                whole=place / "whole",
                fanout=self.tuned.fanout,
                max_dead_share=self.tuned.max_dead_share,
                max_segments=self.tuned.max_segments,
                seed=self.seed,
            )
            manifest = self._publish_successor(grown.fresh, catalogue)
        before = self.served
        with watched() as following:
            self.served = load_release(self.store, manifest.release_id, self.cache, beside=before)
        shutil.rmtree(self.cache.root / "releases" / before.release_id)
        return Step(comparison, writing, following, is_compacted=bool(grown.merged))

    def now(self) -> datetime:
        """A quarter of an hour after the update before."""
        return _START + timedelta(minutes=15 * self.generation)

    def _publish_successor(self, fresh: Path, catalogue: Catalogue) -> Manifest:
        parent = self.served.manifest
        manifest = publish_successor(
            self.store,
            parent,
            index=fresh,
            references=None,
            catalogue=self._told(catalogue),
            health={},
            provenance={},
            created_at=self.now(),
            is_given=True,
        )
        promote_reindexed(
            self.store,
            CHANNEL,
            stable=(parent.release_id, manifest.release_id),
            candidate=None,
            now=self.now(),
            why="reindexed",
            who="bench",
        )
        return manifest

    def _told(self, catalogue: Catalogue) -> dict[str, Any]:
        """What the manifest says; made without a look at every document, for it is timed."""
        return {
            "digest": directory_digest(self.home / "encoder"),  # any digest: nothing reads it here
            "watermark": self.now().isoformat().replace("+00:00", "Z"),
            "documents": int(np.count_nonzero(catalogue.live)),
        }


def compare(base: Base, documents: Documents) -> Changes:
    """What the catalogue changed, from the ids and tombstones that the release keeps."""
    held = base.held
    return find_changes(documents.doc_ids, documents.text_digests, documents.slices, held)


def as_tuned(index: Index, like: Index) -> Index:
    """The index, searched with the settings of another."""
    return replace(index, settings=like.settings)


def index_bytes(manifest: Manifest) -> int:
    """Bytes of all files of the release's index."""
    return sum(file.bytes for path, file in manifest.files() if path.startswith("index/"))


def words_bytes(manifest: Manifest) -> int:
    """Those of them that answer by words."""
    return sum(each.lexical.bytes for each in manifest.index.segments if each.lexical)
