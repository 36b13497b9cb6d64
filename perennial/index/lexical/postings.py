"""Postings: which documents of a segment hold a word, and how often; counted, merged, cut down.

Only counts are kept, no scores: BM25's idf and mean length are of the whole index and change with
every increment, so that bm25s, which stores finished scores, would write all of them again. From
counts they are made at the search, by bm25s's own formula, over the rows that live then.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perennial.index.lexical.words import STOP_WORDS, name_hashes, split, word_hashes

_TEXTS = 16_384  # counted at a time: a list of all words of a large catalogue would fill memory


@dataclass(frozen=True, eq=False)
class Postings:
    """Of n rows: `terms` are the (t,) hashes of their words, ascending; those of term i stand at
    starts[i]:starts[i + 1] of `rows`, ascending, and `counts`, both (p,).

    `lengths` are the (n,) words of each row, `names` the (n,) hashes of their doc_ids.
    """

    terms: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray
    names: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def of(self, term: np.uint64) -> tuple[np.ndarray, np.ndarray]:
        """The (m,) rows that hold a word, and how often each."""
        at = int(np.searchsorted(self.terms, term))
        if at == len(self.terms) or self.terms[at] != term:
            return self.rows[:0], self.counts[:0]
        here = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.rows[here], self.counts[here]


def count_words(texts: Sequence[str], doc_ids: Sequence[str]) -> Postings:
    """The postings of n texts, row by row; the same texts, the same arrays."""
    starts = range(0, max(len(texts), 1), _TEXTS)
    parts = [_counted(texts[s : s + _TEXTS], list(doc_ids[s : s + _TEXTS])) for s in starts]
    return merged([(part, np.ones(len(part), dtype=bool)) for part in parts])


def merged(parts: Sequence[tuple[Postings, np.ndarray]]) -> Postings:
    """Postings and (n,) bool of their rows that are kept, numbered anew one part after the other.

    The same as counting the kept rows' texts: a word that no kept row holds is gone.
    """
    terms = np.unique(np.concatenate([part.terms for part, _ in parts]))
    sizes = np.zeros(len(terms), dtype=np.int64)
    places, widths = [], []
    for part, kept in parts:
        before = np.concatenate([[0], np.cumsum(kept[part.rows], dtype=np.int64)])
        widths.append(np.diff(before[part.starts]))
        places.append(np.searchsorted(terms, part.terms))
        sizes[places[-1]] += widths[-1]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    documents = sum(int(np.count_nonzero(kept)) for _, kept in parts)
    highest = max((int(part.counts.max()) for part, _ in parts if len(part.counts)), default=0)
    rows = np.empty(starts[-1], dtype=np.min_scalar_type(max(documents - 1, 0)))
    counts = np.empty(starts[-1], dtype=np.min_scalar_type(highest))
    free, first = starts[:-1].copy(), 0
    for (part, kept), place, width in zip(parts, places, widths, strict=True):
        stays = kept[part.rows]
        shift = np.repeat(free[place] - (np.cumsum(width) - width), width)
        to = shift + np.arange(len(shift))
        number = np.cumsum(kept) - 1 + first
        rows[to] = number[part.rows[stays]]
        counts[to] = part.counts[stays]
        free[place] += width
        first += int(np.count_nonzero(kept))
    held = sizes > 0
    return Postings(
        terms=terms[held],
        starts=np.concatenate([[0], np.cumsum(sizes[held])]).astype(np.uint64),
        rows=rows,
        counts=counts.astype(np.min_scalar_type(int(counts.max(initial=0)))),
        lengths=np.concatenate([part.lengths[kept] for part, kept in parts]),
        names=np.concatenate([part.names[kept] for part, kept in parts]),
    )


def _counted(texts: Sequence[str], doc_ids: list[str]) -> Postings:
    number: defaultdict[str, int] = defaultdict()
    number.default_factory = number.__len__
    for word in STOP_WORDS:  # the first numbers, so that they are told without another look
        number[word]
    found: list[int] = []
    ends = np.zeros(len(texts) + 1, dtype=np.int64)
    for row, text in enumerate(texts):
        found.extend(map(number.__getitem__, split(text.lower())))
        ends[row + 1] = len(found)
    words = np.fromiter(found, dtype=np.int64, count=len(found))
    owner = np.repeat(np.arange(len(texts)), np.diff(ends))
    counting = words >= len(STOP_WORDS)
    words, owner = words[counting], owner[counting]
    terms, place = np.unique(word_hashes(list(number)), return_inverse=True)
    each, counts = np.unique(place[words] * max(len(texts), 1) + owner, return_counts=True)
    sizes = np.bincount(each // max(len(texts), 1), minlength=len(terms))
    return Postings(
        terms=terms,
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        rows=each % max(len(texts), 1),
        counts=counts,
        lengths=np.bincount(owner, minlength=len(texts)).astype(np.uint32),
        names=name_hashes(doc_ids),
    )
