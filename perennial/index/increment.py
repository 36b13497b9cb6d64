"""What a change costs: one new segment of the changed rows, and tombstones for the old ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from perennial.index.build import check_finite
from perennial.index.codes import encoded
from perennial.index.description import segment_row
from perennial.index.factory import parse
from perennial.index.lexical.file import write_words
from perennial.index.segment import write_segment
from perennial.index.template import fingerprint


def add_segment(
    to: Path,
    *,
    name: str,
    template: faiss.IndexIVF | None,
    factory: str,
    vectors: np.ndarray,
    doc_ids: Sequence[str],
    text_digests: Sequence[str],
    slices: Sequence[str | None] | None,
    seed: int,
    texts: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Write one segment of (n, d) unit rows, encoded as its lineage is; its row of index.json.

    `factory` is the index's own, `template` its quantizer: nothing is trained here, so that `seed`
    decides nothing yet. A small segment of a graph's lineage is Flat until a compaction. With the
    documents' `texts` it answers by their words, too: give them where its lineage does.
    """
    del seed
    check_finite(vectors, doc_ids)
    kind = parse(factory, dimension=vectors.shape[1])
    write_segment(
        to,
        name=name,
        vectors=encoded(vectors, factory=kind, template=template),
        doc_ids=doc_ids,
        text_digests=text_digests,
        slices=slices,
        template=fingerprint(template) if template is not None and kind.kind == "IVF" else None,
    )
    lexical = write_words(to, name=name, texts=texts, doc_ids=doc_ids)
    return segment_row(name, rows=len(doc_ids), lexical=lexical)


def write_tombstones(to: Path, *, segment: str, rows: np.ndarray | Sequence[int]) -> str:
    """Write the sorted dead rows of a segment such as "segment-0003"; the file's name."""
    to.mkdir(parents=True, exist_ok=True)
    name = f"{segment}.tombstones.npy"
    np.save(to / name, np.unique(np.asarray(rows)).astype(np.uint32), allow_pickle=False)
    return name
