"""Releases with known answers for the swap benchmark: `word 17` finds document 17, and its release.

A release of generation g holds, in its newest segment, every document of class g (1 % of all) under
the name `<lineage>-<g>-<number>`; all other documents stand in the first segment. So an answer says
by itself which generation it comes from, and no two parts of different releases give a right one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from perennial.index.build import build_index
from perennial.index.description import read_description, write_description
from perennial.index.increment import add_segment, write_tombstones
from perennial.index.template import read_template
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.model.static import write_static
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.publish import publish
from perennial.release.publishing.successor import publish_successor
from perennial.release.stores.store import Store

CLASSES = 100  # of documents; a generation replaces one of them: 1 %
_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Lineage:
    """An encoder of its own and a first release of it; `tag` is what its doc_ids begin with."""

    tag: str
    folder: Path
    vectors: np.ndarray  # (documents, d)
    manifest: Manifest


def make_lineage(
    store: Store,
    folder: Path,
    *,
    tag: str,
    documents: int,
    dimension: int,
    factory: str,
    seed: int,
    topics: int = 0,
) -> Lineage:
    """Publish `documents` documents, each of one word of its own, under an encoder of that seed.

    With `topics` the words of one number modulo it lie together, as those of a real catalogue do:
    an inverted index then finds them in a few of its lists.
    """
    vocabulary = {"[UNK]": 0} | {f"w{number}": number + 1 for number in range(documents)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((documents + 1, dimension))
    if topics:
        centres = generator.standard_normal((topics, dimension))
        vectors[1:] += centres[np.arange(documents) % topics]
    vectors[0] = 0.0
    write_static(folder / "encoder", tokenizer, vectors.astype(np.float32), max_tokens=32)
    encoder = load_encoder(folder / "encoder")
    rows = encoder.encode([f"w{number}" for number in range(documents)])
    build_index(
        folder / "index",
        vectors=rows,
        doc_ids=[f"{tag}-base-{number}" for number in range(documents)],
        text_digests=[text_digest(f"w{number}") for number in range(documents)],
        slices=None,
        encoder_digest=encoder.digest,
        factory=factory,
        recall_target=0.95,
        memory_mb=4096,
        probes=rows[:200],
        seed=seed,
    )
    references = folder / "references"
    references.mkdir()
    queries = [f"w{number}" for number in range(0, documents, documents // 100)]
    pq.write_table(pa.table({"query": queries}), references / "queries.parquet")
    np.save(references / "vectors.npy", rows[:100])
    manifest = publish(
        store,
        encoder=folder / "encoder",
        index=folder / "index",
        references=references,
        catalogue=_catalogue(tag, documents),
        health={},
        provenance={},
        parent=None,
        created_at=_NOON,
    )
    return Lineage(tag, folder, rows, manifest)


def publish_generation(store: Store, lineage: Lineage, generation: int, folder: Path) -> Manifest:
    """Publish the successor of the first release that replaces the documents of one class."""
    about = read_description(lineage.folder / "index")
    numbers = np.arange(generation % CLASSES, len(lineage.vectors), CLASSES)
    quantizer = about["quantizer"]
    template = None
    if quantizer is not None:
        path = lineage.folder / "index" / quantizer
        template = read_template(path, dimension=about["dimension"])[0]
    row = add_segment(
        folder,
        name="segment-0001",
        template=template,
        factory=about["factory"],
        vectors=lineage.vectors[numbers],
        doc_ids=[f"{lineage.tag}-{generation}-{number}" for number in numbers],
        text_digests=[text_digest(f"w{number} {generation}") for number in numbers],
        slices=None,
        seed=0,
    )
    (first,) = about["segments"]
    tombstones = write_tombstones(folder, segment="segment-0000", rows=numbers)
    first = first | {"tombstones": tombstones, "live": first["rows"] - len(numbers)}
    write_description(
        folder,
        encoder_digest=about["encoder"],
        dimension=about["dimension"],
        factory=about["factory"],
        search=about["search"],
        segments=[first, row],
        quantizer=quantizer,
    )
    return publish_successor(
        store,
        lineage.manifest,
        index=folder,
        references=None,
        catalogue=_catalogue(f"{lineage.tag} {generation}", len(lineage.vectors)),
        health={},
        provenance={},
        created_at=_NOON,
    )


def is_right(number: int, doc_ids: list[str], *, tag: str, generation: int) -> bool:
    """Whether an answer to `w<number>` is the known one, and wholly of that generation, from 1;
    0 is the first release, which has nothing replaced."""

    def name(document: int) -> str:
        replaced = generation and document % CLASSES == generation % CLASSES
        return f"{tag}-{generation if replaced else 'base'}-{document}"

    return doc_ids[:1] == [name(number)] and all(
        doc_id == name(int(doc_id.rpartition("-")[2])) for doc_id in doc_ids
    )


def _catalogue(name: str, documents: int) -> dict[str, object]:
    watermark = _NOON.isoformat().replace("+00:00", "Z")
    return {"digest": text_digest(name), "watermark": watermark, "documents": documents}
