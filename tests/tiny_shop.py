"""A tiny shop: a catalogue that a test changes, and a channel whose release is reindexed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from tiny_release import HEALTH, NOON, WORDS, write_folders

from perennial.data.schema import CATALOGUE
from perennial.index.build import build_index
from perennial.index.exact import stored_vectors
from perennial.index.health import index_health
from perennial.index.index import Index
from perennial.index.lexical.postings import count_words
from perennial.index.lexical.search import LexicalIndex
from perennial.index.segment import Rows, Segment
from perennial.index.selection import slice_codes
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.release.caching.materialise import materialise
from perennial.release.channels.channel import Candidate, Channel
from perennial.release.publishing.publish import promote, publish
from perennial.release.stores.local import LocalStore
from perennial.verbs.reindexing.reindex import reindex
from perennial.verbs.reindexing.result import Reindexed

CHECKOUT = Path(__file__).parents[1]
SECTIONS = yaml.safe_load((CHECKOUT / "params.yaml").read_text(encoding="utf-8"))


def tiny_params(path: Path, **reindex_section: Any) -> Params:
    """The checkout's params.yaml with an index of its own choice and `reindex` changed."""
    sections = SECTIONS | {"reindex": SECTIONS["reindex"] | reindex_section}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return load_params(path)


@dataclass
class Shop:
    """`documents` are {doc_id: (text, slice)}; what a reader finds must be exactly they."""

    root: Path
    documents: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    day: int = 0

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.root / "store")

    def channel(self) -> Channel:
        found = self.store.read_channel("production")
        assert found is not None
        return found

    def export(self) -> None:
        """Write the catalogue, a day newer."""
        self.day += 1
        table = pa.table(
            {
                "doc_id": list(self.documents),
                "title": [""] * len(self.documents),
                "text": [text for text, _ in self.documents.values()],
                "slice": [slice_ for _, slice_ in self.documents.values()],
                "updated_at": [NOON + timedelta(days=self.day)] * len(self.documents),
            },
            schema=CATALOGUE,
        )
        path = self.root / "source" / "catalogue.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    def change_everything(self) -> None:
        """Two added, two changed, two removed, one with another slice."""
        self.documents |= {"new-1": ("word1 word2", "guide"), "new-0": ("word50", None)}
        self.documents["doc-003"] = ("word9 word8 word7", None)
        self.documents["doc-004"] = ("word9", "guide")
        del self.documents["doc-005"], self.documents["doc-039"]
        self.documents["doc-010"] = (self.documents["doc-010"][0], "reference")
        self.export()

    def open_with(self, *, lineage: int = 1, count: int = 40, factory: str = "Flat") -> str:
        """Publish and promote a full build of `count` documents of two words each."""
        for i in range(count):
            self.documents[f"doc-{i:03d}"] = (f"word{i % WORDS} word{i * 7 % WORDS}", None)
        release_id = self.publish_full(lineage=lineage, factory=factory)
        promote(self.store, "production", release_id, now=NOON, why="first", who="test")
        self.export()
        return release_id

    def publish_full(self, *, lineage: int, factory: str = "Flat") -> str:
        """A release with everything built anew, as a retrain would; promotes nothing."""
        folder = self.root / f"full-{lineage}-{self.day}"
        folders = write_folders(folder, lineage=lineage)
        index, vectors = self.full_build(folder / "encoder", folder / "built", factory)
        health = HEALTH | index_health(
            index,
            doc_ids=sorted(self.documents),
            probes=self.probes(folder / "encoder"),
            seed=0,
            vectors=vectors,
        )
        return publish(
            self.store,
            encoder=folders.encoder,
            index=folder / "built",
            references=folders.references,
            catalogue={
                "digest": text_digest("any"),
                "watermark": folders.catalogue["watermark"],
                "documents": len(self.documents),
            },
            health=health,
            provenance={"git_commit": "0" * 40, "mlflow_run_id": f"run-{lineage}"},
            parent=None,
            created_at=NOON,
        ).release_id

    def full_build(self, encoder: Path, to: Path, factory: str) -> tuple[Index, np.ndarray]:
        """An index of the catalogue built at once, and its vectors in the order of doc_ids."""
        loaded = load_encoder(encoder)
        names = sorted(self.documents)
        texts = [self.documents[name][0] for name in names]
        vectors = loaded.encode(texts)
        index = build_index(
            to,
            vectors=vectors,
            doc_ids=names,
            text_digests=[text_digest(text) for text in texts],
            slices=[self.documents[name][1] for name in names],
            encoder_digest=loaded.digest,
            factory=factory,
            recall_target=0.98,
            memory_mb=100,
            probes=self.probes(encoder),
            seed=0,
            texts=texts,
        )
        return index, vectors

    def probes(self, encoder: Path) -> np.ndarray:
        return load_encoder(encoder).encode([f"word{i}" for i in range(0, WORDS, 3)])

    def roll_out(self, release_id: str) -> None:
        """Make it the candidate of the channel."""
        before = self.channel()
        candidate = Candidate(release_id, "canary", 0.1, "salt", None)
        values = {**before.__dict__, "candidate": candidate, "write_id": "rollout"}
        values["generation"] += 1
        self.store.compare_and_swap("production", before, Channel(**values).signed(None))

    def reindex(self, *, now: datetime = NOON, **options: Any) -> Reindexed:
        settings = {**self.settings, **options.pop("settings", {})}
        return reindex(
            source=self.root / "source",
            store=self.store,
            cache=self.root / "cache",
            channel="production",
            params=tiny_params(self.root / "params.yaml", **settings),
            now=now + timedelta(days=self.day),
            who="test",
            key=None,
            **options,
        )

    def held(self, release_id: str | None = None) -> dict[str, tuple[str, str | None, bytes]]:
        """{doc_id: (text digest, slice, vector)} of every live row that a reader opens."""
        release_id = release_id or self.channel().stable
        folder = self.root / "readers" / release_id
        manifest = materialise(self.store, release_id, folder)
        index = Index.open(folder / "index", encoder_digest=manifest.encoder.digest)
        found: dict[str, tuple[str, str | None, bytes]] = {}
        for part, segment in zip(manifest.index.segments, index.segments, strict=True):
            table = pq.read_table(folder / "index" / part.ids.path)
            digests, slices = table["text_digest"].to_pylist(), table["slice"].to_pylist()
            for rows, vectors in stored_vectors(segment):
                for row, vector in zip(rows.tolist(), vectors, strict=True):
                    name = table["doc_id"][row].as_py()
                    assert name not in found, "live twice"
                    found[name] = (digests[row], slices[row], vector.tobytes())
        assert index.live == manifest.catalogue.documents == len(found)
        return found

    def said(self, release_id: str | None = None, *, k: int = 8) -> list[Any]:
        """What a reader finds by words alone, for some words: (doc_id, score) of each."""
        release_id = release_id or self.channel().stable
        folder = self.root / "readers" / release_id
        manifest = materialise(self.store, release_id, folder)
        index = Index.open(folder / "index", encoder_digest=manifest.encoder.digest, words=True)
        assert index.lexical is not None
        found = index.gathered().lexical.search([f"word{i}" for i in range(WORDS)], k)
        return list(zip(found.doc_ids.tolist(), found.scores.tolist(), strict=True))

    def said_at_once(self, *, k: int = 8) -> list[Any]:
        """What `said` should be: the words of the whole catalogue, counted at once."""
        names = sorted(self.documents)
        held = count_words([self.documents[name][0] for name in names], names)
        rows = Rows(faiss.IndexFlatIP(1), pa.array(names, pa.string()), slice_codes(None))
        whole = Segment(rows, np.zeros(len(names), dtype=bool), ("all",))
        found = LexicalIndex([whole], [], {"all": held}).search(
            [f"word{i}" for i in range(WORDS)], k
        )
        return list(zip(found.doc_ids.tolist(), found.scores.tolist(), strict=True))

    def built_at_once(self, release_id: str | None = None) -> dict[str, Any]:
        """What `held` should say: the same encoder, the whole catalogue, one build."""
        release_id = release_id or self.channel().stable
        encoder = load_encoder(self.root / "readers" / release_id / "encoder")
        names = sorted(self.documents)
        vectors = encoder.encode([self.documents[name][0] for name in names])
        return {
            name: (text_digest(self.documents[name][0]), self.documents[name][1], row.tobytes())
            for name, row in zip(names, vectors, strict=True)
        }
