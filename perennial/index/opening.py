"""The segments of an index's folder, less what is in memory already."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from perennial.errors import IntegrityError
from perennial.index.description import is_lexical
from perennial.index.lexical.file import read_postings
from perennial.index.lexical.postings import Postings
from perennial.index.segment import (
    Rows,
    Segment,
    check_template,
    damaged,
    read_dead,
    read_names,
    read_rows,
)


def open_segments(
    directory: Path,
    described: Sequence[Mapping[str, Any]],
    *,
    dimension: int,
    template: tuple[faiss.IndexIVF, str] | None,
    loaded: Mapping[tuple[str, ...], Rows],
    mmap: bool,
) -> tuple[Segment, ...]:
    """The segments that index.json describes, in its order; neighbours that `loaded` holds laid
    together are one. Raises IntegrityError or EncoderMismatch where they are not as described."""
    names = [row["vectors"] for row in described]
    first = {together[0]: together for together in loaded}
    segments: list[Segment] = []
    start = 0
    while start < len(described):
        together = first.get(names[start], ())
        if not together or tuple(names[start : start + len(together)]) != together:
            together = (names[start],)
        parts = described[start : start + len(together)]
        rows = loaded.get(together)
        if rows is None:
            rows = read_rows(
                directory,
                vectors=parts[0]["vectors"],
                ids=parts[0]["ids"],
                template=template,
                mmap=mmap,
            )
        segments.append(_described(directory, parts, rows, dimension=dimension, template=template))
        start += len(together)
    return tuple(segments)


def open_words(
    directory: Path, described: Mapping[str, Any], *, dimension: int
) -> tuple[dict[str, Postings] | None, tuple[Segment, ...]]:
    """Of an index.json the postings of all segments by their vectors' files, None where it has
    none, and the segments that have no vectors yet. Raises IntegrityError."""
    if not is_lexical(described["segments"]):
        return None, ()
    postings = {
        row["vectors"]: read_postings(directory / row["lexical"], rows=row["rows"])
        for row in described["segments"]
    }
    waiting = []
    for row in described.get("waiting", []):
        try:
            doc_ids, slices, _ = read_names(directory / row["ids"])
        except (OSError, KeyError, ValueError) as error:
            raise damaged(directory, row["ids"], error) from error
        postings[row["ids"]] = read_postings(directory / row["lexical"], rows=len(doc_ids))
        rows = Rows(faiss.IndexFlatIP(dimension), doc_ids, slices)
        waiting.append(Segment(rows, np.zeros(len(doc_ids), dtype=bool), (row["ids"],)))
    return postings, tuple(waiting)


def _described(
    directory: Path,
    parts: Sequence[Mapping[str, Any]],
    rows: Rows,
    *,
    dimension: int,
    template: tuple[faiss.IndexIVF, str] | None,
) -> Segment:
    name = ", ".join(part["vectors"] for part in parts)
    check_template(rows.template[1] if rows.template else None, template, vectors=name)
    if rows.vectors.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise IntegrityError(
            f"{name} compares by FAISS's metric {rows.vectors.metric_type}, not by inner product; "
            "rebuild the index"
        )
    # The last comes first in what is laid together, see gather.py.
    sizes = [part["rows"] for part in parts] if len(parts) > 1 else [len(rows)]
    dead = np.concatenate(
        [
            read_dead(directory, part["tombstones"], vectors=part["vectors"], rows=size)
            for part, size in zip(parts[::-1], sizes[::-1], strict=True)
        ]
    )
    segment = Segment(rows, dead, tuple(part["vectors"] for part in parts))
    live = sum(part["live"] for part in parts)
    if segment.live != live or rows.vectors.d != dimension or len(dead) != len(rows):
        raise IntegrityError(
            f"{name} holds {segment.live} live rows of {rows.vectors.d} dimensions; its index.json "
            f"says {live} of {dimension}"
        )
    return segment
