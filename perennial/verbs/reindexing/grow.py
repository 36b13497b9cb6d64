"""From what changed to an index folder that holds only what is new: one segment, tombstones, and
compacted segments where they are due."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from perennial.data.catalogue import Documents, read_texts
from perennial.errors import BadInput
from perennial.index.changes import Changes
from perennial.index.compact import compact, plan_compaction
from perennial.index.description import write_description
from perennial.index.increment import add_segment, write_tombstones
from perennial.model.digest import text_digest
from perennial.model.encoder import Encoder
from perennial.model.vectors import Encoding, VectorCache
from perennial.verbs.reindexing.base import Base

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Grown:
    """`fresh` holds index.json and the new files; `rows` are all segments, old and new."""

    fresh: Path
    rows: Rows
    merged: tuple[tuple[str, ...], ...] = ()  # vectors files that became one


def embed_changes(
    base: Base,
    documents: Documents,
    changes: Changes,
    *,
    load: Callable[[], Encoder],
    read: Callable[[], list[str]],
    cache: VectorCache,
    encode: Encoding | None,
    progress: Callable[[int], None],
) -> np.ndarray:
    """(m, d) vectors of changes.fresh, whose texts `read` gives; an unchanged text under another
    slice keeps its own.

    The encoder is only loaded, and the texts are only read, where a text is new.
    """
    rows = changes.fresh
    digests: list[str] = documents.text_digests.take(pa.array(rows)).to_pylist()
    out = np.empty((len(rows), base.manifest.index_dimension), dtype=np.float32)
    old = np.flatnonzero(np.isin(rows, changes.resliced))
    out[old], known = cache.lookup([digests[i] for i in old])
    if base.factory.is_lossless:
        out[old[~known]] = base.vectors_at(changes.origins[~known])
        known[:] = True
    # Codes of a lossy index are no vectors to encode again: those texts are embedded once more.
    new = np.setdiff1d(np.arange(len(rows)), old[known])
    if len(new):
        texts, wanted = read(), [digests[i] for i in new]
        chosen = [texts[i] for i in new]
        out[new] = cache.embed(load(), chosen, wanted, encode=encode, progress=progress)
    return out


def read_changed(documents: Documents, rows: np.ndarray) -> list[str]:
    """The texts of (m,) rows of the catalogue; raises BadInput where it changed since it was
    compared."""
    texts = read_texts(documents, rows)
    if [text_digest(text) for text in texts] != documents.text_digests.take(
        pa.array(rows)
    ).to_pylist():
        raise BadInput(f"{documents.path} changed while it was reindexed; run again")
    return texts


def write_increment(
    base: Base,
    documents: Documents,
    changes: Changes,
    *,
    vectors: np.ndarray,
    texts: Sequence[str] | None,
    fresh: Path,
    seed: int,
) -> Grown:
    """One new segment of the changed documents, and tombstones where old rows stood.

    `texts` are those of changes.fresh, given where the base answers by words, too.
    """
    fresh.mkdir(parents=True)
    rows: Rows = []
    for row, segment, newly in zip(base.rows, base.held, changes.dead, strict=True):
        if len(newly) == row["live"]:
            continue  # nothing of it counts any more: it is not carried on
        if len(newly):
            dead = np.union1d(np.flatnonzero(segment.dead), newly)
            name = write_tombstones(fresh, segment=Path(row["vectors"]).stem, rows=dead)
            row = row | {"tombstones": name, "live": row["rows"] - len(dead)}
        rows.append(row)
    if len(changes.fresh):
        chosen = pa.array(changes.fresh)
        rows.append(
            add_segment(
                fresh,
                name=_next_name(base.rows),
                template=base.template[0] if base.template else None,
                factory=base.manifest.index.factory,
                vectors=vectors,
                doc_ids=documents.doc_ids.take(chosen).to_pylist(),
                text_digests=documents.text_digests.take(chosen).to_pylist(),
                slices=documents.slices.take(chosen).to_pylist(),
                texts=texts,
                seed=seed,
            )
        )
    return _described(base, Grown(fresh, rows))


def compact_where_due(
    base: Base,
    grown: Grown,
    *,
    whole: Path,
    fanout: int,
    max_dead_share: float,
    max_segments: int,
    seed: int,
) -> Grown:
    """The same documents in fewer or tighter segments, where the plan says so; else `grown`."""
    sizes = [(row["rows"], row["live"]) for row in grown.rows]
    groups = plan_compaction(
        sizes, fanout=fanout, max_dead_share=max_dead_share, max_segments=max_segments
    )
    rows, merged = list(grown.rows), []
    for group in groups:
        sources = [grown.rows[position] for position in group]
        base.assemble(whole, sources, fresh=grown.fresh, words=base.is_lexical)
        row = compact(
            whole,
            grown.fresh,
            segments=sources,
            name=_next_name([*base.rows, *rows]),
            template=base.template[0] if base.template else None,
            factory=base.manifest.index.factory,
            seed=seed,
        )
        rows.append(row)
        merged.append(tuple(source["vectors"] for source in sources))
    gone = {name for group in merged for name in group}
    rows = [row for row in rows if row["vectors"] not in gone]
    return _described(base, Grown(grown.fresh, rows, tuple(merged))) if merged else grown


def _described(base: Base, grown: Grown) -> Grown:
    index = base.manifest.index
    write_description(
        grown.fresh,
        encoder_digest=base.manifest.index_encoder,
        dimension=base.manifest.index_dimension,
        factory=index.factory,
        search=index.search,
        segments=grown.rows,
        quantizer=index.quantizer.path if index.quantizer else None,
    )
    return grown


def _next_name(rows: Sequence[Mapping[str, Any]]) -> str:
    """One number above all that are taken: a carried file is never named like a new one."""
    numbers = [re.fullmatch(r"segment-(\d+)\.faiss", row["vectors"]) for row in rows]
    return f"segment-{max([int(n[1]) for n in numbers if n], default=-1) + 1:04d}"
