"""Real but tiny encoders and indexes: words as documents, so that every answer is known."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from perennial.index.codes import encoded
from perennial.index.description import segment_row, write_description
from perennial.index.factory import Factory
from perennial.index.segment import write_segment
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.model.static import write_static
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.publish import publish
from perennial.release.stores.store import Store

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
WORDS = 60
DIMENSION = 16
HEALTH = {"ann_recall@10": 1.0, "coverage": 1.0, "dead_share": 0.0, "effective_rank": 12.345678901}


@dataclass(frozen=True)
class Folders:
    """What the stages train and index leave: document i is `word<i>`, called `<tag>-<i>`."""

    encoder: Path
    index: Path
    references: Path
    catalogue: dict[str, Any]


@contextmanager
def fast_folder() -> Iterator[Path]:
    """In memory where there is such a place: thousands of fsyncs on a busy disk take minutes."""
    memory = Path("/dev/shm")
    in_memory = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(dir=memory if in_memory else None) as place:
        yield Path(place)


def write_folders(
    root: Path, *, lineage: int = 0, tag: str = "doc", documents: int = 40, day: int = 0
) -> Folders:
    """An encoder that `lineage` decides, and an index of the first `documents` words, `day` old."""
    vocabulary = {"[UNK]": 0} | {f"word{i}": i + 1 for i in range(WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(lineage).standard_normal((WORDS + 1, DIMENSION))
    vectors[0] = 0.0  # an unknown word says nothing
    write_static(root / "encoder", tokenizer, vectors.astype(np.float32), max_tokens=32)

    encoder = load_encoder(root / "encoder")
    texts = [f"word{i}" for i in range(documents)]
    rows = encoder.encode(texts)
    write_segment(
        root / "index",
        name="segment-0000",
        vectors=encoded(rows, factory=Factory("Flat"), template=None),
        doc_ids=[f"{tag}-{i}" for i in range(documents)],
        text_digests=[text_digest(text) for text in texts],
    )
    write_description(
        root / "index",
        encoder_digest=encoder.digest,
        dimension=DIMENSION,
        factory="Flat",
        search={},
        segments=[segment_row("segment-0000", rows=documents)],
    )
    references = root / "references"
    references.mkdir()
    pq.write_table(pa.table({"query": texts[:5]}), references / "queries.parquet")
    np.save(references / "vectors.npy", rows[:5])
    watermark = (NOON + timedelta(days=day)).isoformat().replace("+00:00", "Z")
    catalogue = {
        "digest": text_digest(tag + "".join(texts)),
        "watermark": watermark,
        "documents": documents,
    }
    return Folders(root / "encoder", root / "index", references, catalogue)


def publish_folders(
    store: Store, folders: Folders, *, parent: str | None = None, key: bytes | None = None
) -> Manifest:
    """Publish the folders as of NOON."""
    return publish(
        store,
        encoder=folders.encoder,
        index=folders.index,
        references=folders.references,
        catalogue=folders.catalogue,
        health=HEALTH,
        provenance={"git_commit": "0" * 40},
        parent=parent,
        created_at=NOON,
        key=key,
    )
