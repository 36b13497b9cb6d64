"""A channel and a plain model of it: dicts of documents, and answers by brute force over them."""

import math
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from plain_bm25 import plain_bm25
from tiny_release import HEALTH, NOON, WORDS, write_folders
from tiny_shop import SECTIONS

from perennial.data.schema import CATALOGUE
from perennial.index.build import build_index
from perennial.index.health import index_health
from perennial.model.digest import text_digest
from perennial.model.encoder import Encoder, load_encoder
from perennial.model.vectors import forget_vectors
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.release.channels.channel import Candidate, Channel
from perennial.release.forgetting.traces import Traces
from perennial.release.publishing.publish import promote, publish
from perennial.release.stores.store import Store
from perennial.serving.searcher import Searcher
from perennial.verbs.reindexing.reindex import reindex
from perennial.verbs.reindexing.result import Reindexed

Documents = dict[str, tuple[str, str | None]]
SLICES = (None, "guide", "reference")
PROBES = [f"word{i}" for i in range(0, WORDS, 6)]
# Nothing here is about bounds: every index that holds the catalogue may serve.
LENIENT = {
    "min_ann_recall": 0.0,
    "min_self_retrieval": 0.0,
    "max_imbalance": 1e6,
    "max_removed_share": 1.0,
}


@dataclass(frozen=True)
class Held:
    """What the model knows of a release."""

    documents: Documents
    lineage: int
    watermark: str
    created_at: datetime


class Encoders:
    """Tiny encoders by number, each written once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders = cache(lambda n: write_folders(root / f"lineage-{n}", lineage=n))
        self.loaded = cache(lambda n: load_encoder(self.folders(n).encoder))
        self.vector = cache(lambda n, text: self.loaded(n).encode([text])[0])

    def brute_force(
        self, lineage: int, documents: Documents, query: str, slice: str | None
    ) -> dict[str, float]:
        """Every document of the slice, with its score."""
        asked = self.vector(lineage, query)
        return {
            name: float(self.vector(lineage, text) @ asked)
            for name, (text, its) in documents.items()
            if slice is None or its == slice
        }


class Place:
    """A store with a source, caches and a reader, for one factory; time passes by `tick`."""

    def __init__(self, root: Path, store: Store, encoders: Encoders, factory: str) -> None:
        self.root, self.store, self.encoders, self.factory = root, store, encoders, factory
        self.now, self.watermark, self.readers = NOON, "", 0
        self.searcher: Searcher | None = None

    def tick(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now

    def channel(self) -> Channel:
        found = self.store.read_channel("production")
        assert found is not None
        return found

    def export(self, documents: Documents) -> str:
        """Write the catalogue as of now; its watermark."""
        at = self.tick()
        path = self.root / "source" / "catalogue.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {
            "doc_id": list(documents),
            "title": [""] * len(documents),
            "text": [text for text, _ in documents.values()],
            "slice": [slice_ for _, slice_ in documents.values()],
            "updated_at": [at] * len(documents),
        }
        pq.write_table(pa.table(columns, schema=CATALOGUE), path)
        return at.isoformat().replace("+00:00", "Z")

    def publish(self, lineage: int, documents: Documents) -> tuple[str, Held]:
        """A release that is built at once, as a retrain would; promotes nothing."""
        watermark, created = self.export(documents), self.tick()
        made, folders = self.root / "built", self.encoders.folders(lineage)
        shutil.rmtree(made, ignore_errors=True)
        encoder: Encoder = self.encoders.loaded(lineage)
        names, probes = sorted(documents), encoder.encode(PROBES)
        vectors = encoder.encode([documents[name][0] for name in names])
        index = build_index(
            made,
            vectors=vectors,
            doc_ids=names,
            text_digests=[text_digest(documents[name][0]) for name in names],
            slices=[documents[name][1] for name in names],
            encoder_digest=encoder.digest,
            factory=self.factory,
            recall_target=0.9,
            memory_mb=100,
            probes=probes,
            seed=0,
            texts=[documents[name][0] for name in names],
        )
        health = HEALTH | index_health(index, doc_ids=names, probes=probes, seed=0, vectors=vectors)
        release_id = publish(
            self.store,
            encoder=folders.encoder,
            index=made,
            references=folders.references,
            catalogue={
                "digest": text_digest(repr(sorted(documents.items()))),
                "watermark": watermark,
                "documents": len(documents),
            },
            health=health,
            provenance={"git_commit": "0" * 40},
            parent=None,
            created_at=created,
        ).release_id
        return release_id, Held(dict(documents), lineage, watermark, created)

    def promote(self, release_id: str) -> Channel:
        said = {"why": "better", "who": "test"}
        return promote(self.store, "production", release_id, now=self.tick(), **said)

    def roll_out(self, release_id: str) -> None:
        """Make it the candidate, as a rollout does."""
        before = self.channel()
        values = {**before.__dict__, "candidate": Candidate(release_id, "canary", 0.1, "s", None)}
        values["generation"] += 1
        values["write_id"] = f"{values['generation']:032x}"
        values["writes"] = (*before.writes, before.write_id)
        self.store.compare_and_swap("production", before, Channel(**values).signed(None))

    def reindex(self, **options: Any) -> Reindexed:
        settings = LENIENT | options.pop("settings", {})
        return reindex(
            source=self.root / "source",
            store=self.store,
            cache=self.root / "cache",
            channel="production",
            params=self.params(**settings),
            now=self.tick(),
            who="test",
            key=None,
            **options,
        )

    def clear_caches(self, traces: Traces, text_digests: frozenset[str]) -> None:
        """What a person's command clears beside the store."""
        forget_vectors(self.root / "cache" / "vectors", sorted(text_digests))
        shutil.rmtree(self.root / "cache" / "reindex", ignore_errors=True)

    def params(self, **settings: Any) -> Params:
        index = SECTIONS["index"] | {"factory": self.factory}
        sections = SECTIONS | {"reindex": SECTIONS["reindex"] | settings, "index": index}
        path = self.root / "params.yaml"
        path.write_text(yaml.safe_dump(sections), encoding="utf-8")
        return load_params(path)

    def open_reader(self, *, fresh: bool) -> Searcher:
        """A searcher of a new process, with a cache of its own or the one that is there."""
        self.readers += fresh
        if self.searcher is not None:
            self.searcher.close()
        folder = self.root / f"reader-{self.readers}"
        self.searcher = Searcher.open(self.store, "production", folder, math.inf)
        return self.searcher

    def close(self) -> None:
        if self.searcher is not None:
            self.searcher.close()


def in_years() -> datetime:
    """So late that everything is older than any grace period."""
    return datetime.now(UTC) + timedelta(days=1000)


def make_documents(numbers: range) -> Documents:
    """Documents of two words each, whose slices differ."""
    return {
        f"document-{i:05d}": (f"word{i % WORDS} word{(i * 7 + i // WORDS) % WORDS}", SLICES[i % 3])
        for i in numbers
    }


def assert_true_answers(
    searcher: Searcher,
    wanted: dict[str, float],
    query: str,
    slice: str | None,
    *,
    tolerance: float,
    is_exact: bool,
) -> None:
    """All answers are the model's; the first few are true, and the best ones where search is
    exact."""
    every = searcher.search(query, k=len(wanted) + 3, slice=slice).hits
    found = {hit.doc_id: hit.score for hit in every}
    assert len(found) == len(every), "a document twice"
    assert found.keys() == wanted.keys(), (query, slice, found.keys() ^ wanted.keys())
    for name, score in found.items():
        assert abs(score - wanted[name]) <= tolerance, (name, score, wanted[name])
    few = searcher.search(query, k=3, slice=slice).hits
    assert len(few) == min(3, len(wanted))
    assert all(abs(hit.score - wanted[hit.doc_id]) <= tolerance for hit in few)
    scores = [hit.score for hit in few]
    assert scores == sorted(scores, reverse=True)
    if is_exact:
        best = sorted(wanted.values(), reverse=True)[: len(few)]
        assert np.allclose(scores, best, atol=tolerance)


def assert_true_words(searcher: Searcher, documents: Documents, query: str) -> None:
    """What shares a word is found by it, whatever grew, died and was merged since; nothing else."""
    lexical = searcher.release.index.lexical
    assert lexical is not None
    wanted = plain_bm25({name: text for name, (text, _) in documents.items()}, query)
    found = lexical.search([query], len(documents) + 3)
    names = [name for name in found.doc_ids[0] if name is not None]
    assert sorted(names) == sorted(wanted), query
    scores = found.scores[0][: len(names)]
    assert np.allclose(scores, [wanted[name] for name in names], atol=1e-5)
    assert (np.diff(scores) <= 0).all()
