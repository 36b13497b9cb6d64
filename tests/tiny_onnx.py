"""A tiny BERT, the same with other weights, and releases of them with their ONNX graphs."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file
from tiny_encoder import things
from tiny_release import NOON, Folders

from perennial.index.codes import encoded
from perennial.index.description import segment_row, write_description
from perennial.index.factory import Factory
from perennial.index.segment import write_segment
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.model.onnx.exported import Exported, export_proven
from perennial.model.onnx.proof import proof_texts


def with_other_weights(encoder: Path, to: Path) -> Path:
    """The same architecture and tokenizer, another encoder."""
    shutil.copytree(encoder, to)
    weights = load_file(to / "model.safetensors")
    rng = np.random.default_rng(3)
    changed = {
        k: (v + 0.5 * rng.standard_normal(v.shape)).astype(v.dtype) for k, v in weights.items()
    }
    save_file(changed, to / "model.safetensors", metadata={"format": "pt"})
    return to


def texts() -> list[str]:
    """The 1,000 texts of a proof."""
    return proof_texts(things().queries, things().documents)


def export(encoder: Path, to: Path) -> Exported:
    """Export into `to`, and prove it."""
    return export_proven(encoder, to, texts=texts(), say=lambda line: None)


def write_indexed(root: Path, encoder: Path) -> Folders:
    """`things`, indexed by an encoder: document i is called thing-<i>."""
    loaded, documents = load_encoder(encoder), things().documents
    rows = loaded.encode(documents)
    write_segment(
        root / "index",
        name="segment-0000",
        vectors=encoded(rows, factory=Factory("Flat"), template=None),
        doc_ids=[f"thing-{i}" for i in range(len(documents))],
        text_digests=[text_digest(text) for text in documents],
    )
    write_description(
        root / "index",
        encoder_digest=loaded.digest,
        dimension=loaded.dimension,
        factory="Flat",
        search={},
        segments=[segment_row("segment-0000", rows=len(documents))],
    )
    references = root / "references"
    references.mkdir()
    pq.write_table(pa.table({"query": things().queries[:5]}), references / "queries.parquet")
    np.save(references / "vectors.npy", rows[:5])
    watermark = NOON.isoformat().replace("+00:00", "Z")
    catalogue = {"digest": text_digest(""), "watermark": watermark, "documents": len(documents)}
    return Folders(encoder, root / "index", references, catalogue)
