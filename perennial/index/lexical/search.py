"""The lexical index of a release: BM25 over the postings of all its segments, as one.

The scores are those of an index that was built afresh of the same documents, however many
increments, tombstones and compactions lie between: only living rows are counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from perennial.index.lexical.postings import Postings
from perennial.index.lexical.words import word_hashes, words_of
from perennial.index.segment import Segment
from perennial.index.selection import SliceCodes

K1, B = 1.5, 0.75  # as bm25s has them


@dataclass(frozen=True, eq=False)
class LexicalFound:
    """(q, k) BM25 scores and doc_ids, best first, absent is -inf and None; `waits` says which of
    them have no vector yet."""

    scores: np.ndarray
    doc_ids: np.ndarray
    waits: np.ndarray


@dataclass(frozen=True, eq=False)
class _Part:
    """The postings of n rows, what they are called and which of them live; doc_ids from `first`."""

    postings: Postings
    doc_ids: pa.Array
    first: int
    alive: np.ndarray
    slices: SliceCodes
    waits: bool

    def of_slice(self, rows: np.ndarray, slice: str) -> np.ndarray:
        """(m,) bool: which of the rows are of the slice."""
        code = self.slices.names.get(slice)
        if code is None or self.slices.codes is None:
            return np.zeros(len(rows), dtype=bool)
        return np.asarray(self.slices.codes[self.first + rows] == code)


class LexicalIndex:
    """Answers by words what segments hold; immutable, for any number of threads."""

    def __init__(
        self,
        segments: Sequence[Segment],
        waiting: Sequence[Segment],
        postings: Mapping[str, Postings],
    ) -> None:
        """`postings` by the segments' names; `waiting` segments have no vectors."""
        self._parts = [
            part
            for each, waits in ((segments, False), (waiting, True))
            for segment in each
            for part in _parts_of(segment, postings, waits=waits)
        ]
        self._count = sum(int(np.count_nonzero(part.alive)) for part in self._parts)
        words = sum(int(part.postings.lengths[part.alive].sum()) for part in self._parts)
        self._mean = words / max(self._count, 1)

    def search(self, queries: Sequence[str], k: int, *, slice: str | None = None) -> LexicalFound:
        """The k documents of the highest BM25 (Robertson and Zaragoza 2009, idf as in Lucene); of
        equal ones the lower doc_id first. What shares no word is not found."""
        shape = (len(queries), k)
        scores, waits = np.full(shape, -np.inf, dtype=np.float32), np.zeros(shape, dtype=bool)
        doc_ids = np.full(shape, None, dtype=object)
        for row, query in enumerate(queries):
            best = self._best(query, k, slice)
            for rank, (score, doc_id, is_waiting) in enumerate(best):
                scores[row, rank], doc_ids[row, rank] = score, doc_id
                waits[row, rank] = is_waiting
        return LexicalFound(scores, doc_ids, waits)

    def _best(self, query: str, k: int, slice: str | None) -> list[tuple[float, str, bool]]:
        asked = Counter(words_of(query))
        sums: list[np.ndarray | None] = [None] * len(self._parts)
        for term, times in zip(word_hashes(list(asked)), asked.values(), strict=True):
            self._add(term, times, sums)
        rows, values, owners = [], [], []
        for number, (part, scores) in enumerate(zip(self._parts, sums, strict=True)):
            if scores is None:
                continue
            found = np.flatnonzero(scores)
            if slice is not None:
                found = found[part.of_slice(found, slice)]
            rows.append(found)
            values.append(scores[found])
            owners.append(np.full(len(found), number))
        if not rows:
            return []
        row, value, owner = (np.concatenate(each) for each in (rows, values, owners))
        if len(value) > k:  # all that are as good as the last: their names decide
            near = np.flatnonzero(value >= np.partition(value, len(value) - k)[len(value) - k])
            row, value, owner = row[near], value[near], owner[near]
        hits = []
        for score, at, number in zip(value.tolist(), row.tolist(), owner.tolist(), strict=True):
            part = self._parts[number]
            hits.append((-score, part.doc_ids[part.first + at].as_py(), part.waits))
        return [(-score, doc_id, waits) for score, doc_id, waits in sorted(hits)[:k]]

    def _add(self, term: np.uint64, times: int, sums: list[np.ndarray | None]) -> None:
        """Add a word's part of the score of every living row that holds it."""
        hits = []
        for number, part in enumerate(self._parts):
            rows, counts = part.postings.of(term)
            living = part.alive[rows]
            if living.any():
                hits.append((number, rows[living], counts[living]))
        holding = sum(len(rows) for _, rows, _ in hits)
        idf = np.log(1 + (self._count - holding + 0.5) / (holding + 0.5))
        for number, rows, counts in hits:
            part = self._parts[number]
            norm = K1 * (1 - B + B * part.postings.lengths[rows] / self._mean)
            if (scores := sums[number]) is None:
                scores = sums[number] = np.zeros(len(part.postings))
            scores[rows] += times * idf * (counts / (counts + norm))


def _parts_of(segment: Segment, postings: Mapping[str, Postings], *, waits: bool) -> list[_Part]:
    """The parts of a segment; laid together, the last stands first: see gather.py."""
    parts, first = [], 0
    for name in reversed(segment.names):
        held = postings[name]
        alive = ~segment.dead[first : first + len(held)]
        parts.append(
            _Part(held, segment.rows.doc_ids, first, alive, segment.rows.slices, waits=waits)
        )
        first += len(held)
    return parts
