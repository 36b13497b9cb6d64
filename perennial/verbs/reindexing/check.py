"""Looks at an index that grew: its health, and a quantizer trained anew where the lists fit no
longer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.data.catalogue import Documents, read_texts
from perennial.index.build import build_index
from perennial.index.description import read_description
from perennial.index.exact import stored_vectors
from perennial.index.factory import AUTO, choose
from perennial.index.fidelity import codes_similarity, least_similarity
from perennial.index.health import index_health, needs_new_quantizer
from perennial.index.index import Index
from perennial.model.encoder import Encoder
from perennial.model.vectors import Encoding, VectorCache
from perennial.params.index import Index as IndexParams
from perennial.params.index import Reindex as ReindexParams
from perennial.quality.upkeep import RECALL
from perennial.verbs.reindexing.base import Base
from perennial.verbs.reindexing.grow import Grown, read_changed

_TITLE = 80  # characters of a document that stand in for a query before the first log
_TRAINED = {
    "imbalance": "trained_imbalance",
    RECALL: "trained_recall",
    "codes_similarity": "trained_codes_similarity",
    "codes_spread": "trained_codes_spread",
}


@dataclass(frozen=True)
class Checked:
    """An index with its health, and why its quantizer was trained anew, if it was."""

    grown: Grown
    health: dict[str, float]
    probes: int
    trained: tuple[str, ...] = ()


def make_probes(
    base: Base, documents: Documents, *, encoder: Encoder, count: int, seed: int
) -> np.ndarray:
    """(p, d) unit queries: the release's references, else the beginnings of some documents."""
    generator = np.random.default_rng(seed)
    queries = base.queries()
    if not queries:
        rows = np.sort(generator.choice(len(documents), min(count, len(documents)), replace=False))
        queries = [text[:_TITLE] for text in read_texts(documents, rows)]
    elif len(queries) > count:
        queries = [queries[i] for i in np.sort(generator.choice(len(queries), count, False))]
    return encoder.encode(queries)


def check(
    base: Base,
    grown: Grown,
    documents: Documents,
    *,
    added: np.ndarray,
    vectors: np.ndarray,
    whole: Path,
    encoder: Encoder,
    cache: VectorCache,
    encode: Encoding | None,
    section: ReindexParams,
    index_section: IndexParams,
    progress: Callable[[int], None],
) -> Checked:
    """The health of the whole index; where it asks for it, of one that was trained anew instead.

    `vectors` (m, d) are those of the catalogue's rows `added`, which stand in new segments. Opens
    the vectors of every segment: this, and not writing an increment, grows with the corpus.
    """
    opened = _open(base, grown, whole)
    probes = make_probes(base, documents, encoder=encoder, count=section.probes, seed=section.seed)
    doc_ids = documents.doc_ids.to_pylist()
    health = index_health(opened, doc_ids=doc_ids, probes=probes, seed=section.seed)
    health |= _fidelity(base, grown, opened, [doc_ids[row] for row in added], vectors)
    before = _when_trained(base)
    reasons = needs_new_quantizer(
        health,
        max_imbalance=before["imbalance"] * section.max_imbalance_growth,
        min_recall=before[RECALL] - section.max_recall_loss,
        min_codes_similarity=least_similarity(
            trained=before["codes_similarity"],
            spread=before["codes_spread"],
            max_loss=section.max_codes_loss,
            documents=len(added),
        ),
    ) + _outgrown(base, len(documents), index_section)
    if not reasons:
        return Checked(grown, _figures(health, before), len(probes))

    # Each time compared with their digests: another catalogue may lie there by now.
    read = partial(read_changed, documents, np.arange(len(documents)))
    every = (
        _stored(opened, documents)
        if base.factory.is_lossless
        else cache.embed(
            encoder,
            read(),
            documents.text_digests.to_pylist(),
            encode=encode,
            progress=progress,
        )
    )
    fresh = grown.fresh.with_name("trained")
    rebuilt = build_index(
        fresh,
        vectors=every,
        doc_ids=doc_ids,
        text_digests=documents.text_digests.to_pylist(),
        slices=documents.slices.to_pylist(),
        encoder_digest=base.manifest.index_encoder,
        factory=index_section.factory,
        recall_target=index_section.recall_target,
        memory_mb=index_section.memory_mb,
        probes=probes,
        seed=index_section.seed,
        texts=read() if base.is_lexical else None,
    )
    health = index_health(rebuilt, doc_ids=doc_ids, probes=probes, seed=section.seed, vectors=every)
    grown = Grown(fresh, read_description(fresh)["segments"])
    return Checked(grown, _figures(health, health), len(probes), trained=reasons)


def _open(base: Base, grown: Grown, whole: Path) -> Index:
    base.assemble(whole, grown.rows, fresh=grown.fresh)
    (whole / "index.json").write_bytes((grown.fresh / "index.json").read_bytes())
    return Index.open(whole, encoder_digest=base.manifest.index_encoder, mmap=True)


def _fidelity(
    base: Base, grown: Grown, opened: Index, added: list[str], vectors: np.ndarray
) -> dict[str, float]:
    """How similar codes are to vectors: of what was added, or as it was where nothing was."""
    new = [i for i, row in enumerate(grown.rows) if (grown.fresh / row["vectors"]).exists()]
    found = codes_similarity(opened, doc_ids=added, vectors=vectors, segments=new)
    kept = base.manifest.health
    return found or {
        name: float(kept[name]) for name in ("codes_similarity", "codes_spread") if name in kept
    }


def _stored(index: Index, documents: Documents) -> np.ndarray:
    """(n, d) vectors of all documents, in the catalogue's order, as the index keeps them."""
    out = np.zeros((len(documents), index.dimension), dtype=np.float32)
    for segment in index.segments:
        for rows, vectors in stored_vectors(segment):
            names = segment.rows.doc_ids.take(pa.array(rows))
            out[pc.index_in(names, value_set=documents.doc_ids).to_numpy()] = vectors
    return out


def _outgrown(base: Base, documents: int, section: IndexParams) -> tuple[str, ...]:
    """Why auto would take another type of index by now, asked at half the size: not at every step
    across a border."""
    if section.factory != AUTO:
        return ()
    wanted = choose(
        rows=max(documents // 2, 1),
        dimension=base.manifest.index_dimension,
        memory_mb=section.memory_mb,
        recall_target=section.recall_target,
    )
    if base.factory.kind != "Flat" or documents // 2 < wanted.least_rows or wanted.kind == "Flat":
        return ()
    return (f"{documents:,} documents have outgrown a scan of all ({wanted.name} is faster)",)


def _when_trained(base: Base) -> dict[str, float]:
    """What imbalance and recall were when the lineage's quantizer was trained."""
    health = base.manifest.health
    # Releases that were made before it was measured.
    worst = {"imbalance": 1.0, RECALL: 0.0, "codes_similarity": 0.0, "codes_spread": 0.0}
    if "trained_imbalance" in health:
        return {name: float(health.get(kept, worst[name])) for name, kept in _TRAINED.items()}
    return {name: float(health.get(name, worst[name])) for name in _TRAINED}


def _figures(health: dict[str, float], trained: dict[str, float]) -> dict[str, float]:
    whole = health | {kept: trained[name] for name, kept in _TRAINED.items()}
    return {name: round(float(value), 6) for name, value in sorted(whole.items())}
