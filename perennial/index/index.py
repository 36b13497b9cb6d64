"""An index: an ordered list of segments with tombstones, tied to the encoder that made it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.errors import BadInput, EncoderMismatch
from perennial.index.description import read_description
from perennial.index.gather import gather
from perennial.index.lexical.postings import Postings
from perennial.index.lexical.search import LexicalIndex
from perennial.index.opening import open_segments, open_words
from perennial.index.search import Effort, Found, search_segments
from perennial.index.segment import Rows, Segment
from perennial.index.template import read_template

_FEW_NAMES = 64


@dataclass(frozen=True, eq=False)
class Index:
    """Searches all segments and merges their answers; immutable, for any number of threads.

    `settings` is {"nprobe": n}, {"ef": n} or {}; `template` is the lineage's trained quantizer
    (None where it has none); `segments` stand in the order of index.json. `postings` are the words
    of its segments, of those too that are `waiting` for their vectors; None where it has none.
    """

    encoder_digest: str
    dimension: int
    factory: str
    settings: Mapping[str, int]
    segments: tuple[Segment, ...]
    template: faiss.IndexIVF | None = None
    postings: Mapping[str, Postings] | None = None
    waiting: tuple[Segment, ...] = ()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        encoder_digest: str,
        mmap: bool = False,
        loaded: Mapping[tuple[str, ...], Rows] | None = None,
        words: bool = False,
    ) -> "Index":
        """The index of a folder; raises EncoderMismatch where another encoder made it.

        `mmap` leaves vectors on the disk until they are searched. `loaded` names the vectors files
        whose rows, of the very same bytes, are in memory already, one's or several's laid together:
        they are shared, not read. With `words` it answers by words too, where it can.
        """
        description = read_description(directory)
        if description["encoder"] != encoder_digest:
            raise EncoderMismatch(
                f"the index was made by encoder {description['encoder']} but would be searched "
                f"with encoder {encoder_digest}; serve a release, which holds both"
            )
        dimension, quantizer = description["dimension"], description.get("quantizer")
        template = None
        if quantizer is not None:
            template = read_template(directory / quantizer, dimension=dimension)
            template = _shared(template, (loaded or {}).values())
        segments = open_segments(
            directory,
            description["segments"],
            dimension=dimension,
            template=template,
            loaded=loaded or {},
            mmap=mmap,
        )
        postings, waiting = (
            open_words(directory, description, dimension=dimension) if words else (None, ())
        )
        return cls(
            encoder_digest=encoder_digest,
            dimension=dimension,
            factory=description["factory"],
            settings=dict(description["search"]),
            segments=segments,
            template=template[0] if template else None,
            postings=postings,
            waiting=waiting,
        )

    @property
    def live(self) -> int:
        """Documents that a search can find."""
        return sum(segment.live for segment in self.segments)

    @property
    def findable(self) -> int:
        """The same with those that only their words can find."""
        return self.live + sum(segment.live for segment in self.waiting)

    @cached_property
    def lexical(self) -> LexicalIndex | None:
        """BM25 over the same living rows, None where the index has no words."""
        if self.postings is None:
            return None
        return LexicalIndex(self.segments, self.waiting, self.postings)

    def doc_ids(self) -> list[str]:
        """Every live doc_id, segment by segment."""
        return [str(d) for s in self.segments for d in s.rows.doc_ids.filter(~s.dead).to_pylist()]

    def hiding(self, doc_ids: Collection[str]) -> "Index":
        """The same rows with those documents dead; unknown ids hide nothing."""
        hidden = pa.array(sorted(doc_ids), pa.string())
        segments = []
        for segment in (*self.segments, *self.waiting):
            named = pc.is_in(segment.rows.doc_ids, hidden).to_numpy(zero_copy_only=False)
            segments.append(replace(segment, dead=segment.dead | named))
        own = len(self.segments)
        return replace(self, segments=tuple(segments[:own]), waiting=tuple(segments[own:]))

    def gathered(self) -> "Index":
        """The same answers from fewer segments: small ones laid together in memory."""
        return replace(self, segments=gather(self.segments))

    def search(
        self, vectors: np.ndarray, k: int, *, slice: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(q, d) unit rows to (scores, doc_ids), both (q, k), best first; absent: -inf and None.

        With `slice`, only documents of that slice. Widens until k are found or all were seen.
        """
        found = self.search_rows(vectors, k, slice=slice)
        return found.scores, self.names(found)

    def names(self, found: Found) -> np.ndarray:
        """(q, k) doc_ids of what was found; absent is None."""
        if found.rows.size <= _FEW_NAMES:  # a take costs as much as forty single ones
            pairs = zip(found.segments.ravel().tolist(), found.rows.ravel().tolist(), strict=True)
            ids = [segment.rows.doc_ids for segment in self.segments]
            each = [None if row < 0 else ids[s][row].as_py() for s, row in pairs]
            return np.array(each, dtype=object).reshape(found.rows.shape)
        names = np.full(found.rows.shape, None, dtype=object)
        for number, segment in enumerate(self.segments):
            here = found.segments == number
            if here.any():
                taken = segment.rows.doc_ids.take(pa.array(found.rows[here]))
                # to_pylist takes ten times as long.
                names[here] = taken.to_numpy(zero_copy_only=False)
        return names

    def search_rows(
        self,
        vectors: np.ndarray,
        k: int,
        *,
        slice: str | None = None,
        settings: Mapping[str, int] | None = None,
    ) -> Found:
        """The same as (q, k) positions of segments and rows; `settings` instead of the index's."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise BadInput(
                f"queries have shape {vectors.shape}, the index {self.dimension} dimensions; "
                "embed them with the release's own encoder"
            )
        if k < 1:
            raise BadInput(f"k is {k}; ask for at least one document")
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        chosen = self.settings if settings is None else settings
        effort = Effort(nprobe=chosen.get("nprobe", 1), ef=chosen.get("ef", 16))
        return search_segments(self.segments, queries, k, effort=effort, slice=slice)


def _shared(
    template: tuple[faiss.IndexIVF, str], loaded: Collection[Rows]
) -> tuple[faiss.IndexIVF, str]:
    """The template that rows in memory use already, where it has the same bytes."""
    for rows in loaded:
        if rows.template is not None and rows.template[1] == template[1]:
            return rows.template
    return template
