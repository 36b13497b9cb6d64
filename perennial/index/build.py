"""A first index of a whole catalogue: its quantizer, one segment, and how far to search."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from perennial.errors import BadInput
from perennial.index.codes import RowCodes, encoded
from perennial.index.description import segment_row, write_description
from perennial.index.factory import AUTO, Factory, choose, parse
from perennial.index.index import Index
from perennial.index.lexical.file import write_words
from perennial.index.segment import write_segment
from perennial.index.template import fingerprint, train_template, write_template
from perennial.index.tune import tune

_SEGMENT = "segment-0000"
_OWN_PROBES = 500


def build_index(
    directory: Path,
    *,
    vectors: np.ndarray,
    doc_ids: Sequence[str],
    text_digests: Sequence[str],
    slices: Sequence[str | None] | None,
    encoder_digest: str,
    factory: str,
    recall_target: float,
    memory_mb: int,
    probes: np.ndarray,
    seed: int,
    texts: Sequence[str] | None = None,
    row_codes: RowCodes | None = None,
) -> Index:
    """(n, d) unit rows and their ids to an index folder; same input, same bytes.

    `factory` is "auto" or a tested name; where there are too few rows for it, the index is Flat and
    says so. nprobe or efSearch is tuned on `probes` (p, d), without any on some of the rows. With
    the documents' `texts` it answers by their words, too. `row_codes` encodes an IVF's rows
    elsewhere.
    """
    check_finite(vectors, doc_ids)
    rows, dimension = vectors.shape
    if rows == 0:
        raise BadInput("there is no document to index; is the catalogue empty?")
    kind = (
        choose(rows=rows, dimension=dimension, memory_mb=memory_mb, recall_target=recall_target)
        if factory == AUTO
        else parse(factory, dimension=dimension)
    )
    if rows < kind.least_rows:
        kind = Factory("Flat")
    template = quantizer = elsewhere = None
    directory.mkdir(parents=True, exist_ok=True)
    if kind.kind == "IVF":
        template = train_template(vectors, factory=kind, seed=seed)
        quantizer = write_template(directory, template)
        if row_codes is not None:
            elsewhere = partial(row_codes, directory / quantizer, fingerprint(template))
    write_segment(
        directory,
        name=_SEGMENT,
        vectors=encoded(vectors, factory=kind, template=template, elsewhere=elsewhere),
        doc_ids=doc_ids,
        text_digests=text_digests,
        slices=slices,
        template=None if template is None else fingerprint(template),
    )
    lexical = write_words(directory, name=_SEGMENT, texts=texts, doc_ids=doc_ids)
    described = {
        "encoder_digest": encoder_digest,
        "dimension": dimension,
        "factory": kind.name,
        "segments": [segment_row(_SEGMENT, rows=rows, lexical=lexical)],
        "quantizer": quantizer,
    }
    write_description(directory, search={}, **described)
    index = Index.open(directory, encoder_digest=encoder_digest)
    if not len(probes):
        generator = np.random.default_rng(seed)
        probes = vectors[generator.choice(rows, min(rows, _OWN_PROBES), replace=False)]
    settings = tune(index, vectors=vectors, probes=probes, recall_target=recall_target)
    if settings:
        write_description(directory, search=settings, **described)
    return dataclasses.replace(index, settings=settings)


def check_finite(vectors: np.ndarray, doc_ids: Sequence[str]) -> None:
    """Raise BadInput naming the first document whose (d,) vector holds NaN or Inf."""
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        bad = doc_ids[int(np.flatnonzero(~finite)[0])]
        raise BadInput(
            f"the vector of document {bad} holds NaN or Inf; the encoder is broken: train again "
            "with a smaller learning rate"
        )
