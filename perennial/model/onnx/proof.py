"""The proof that an exported encoder is the encoder: the same vector for each of 1,000 texts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import numpy as np

from perennial.errors import Refused
from perennial.model.encoder import Encoder

TEXTS = 1_000
MAX_DIFFERENCE = 1e-4
# What no catalogue may hold and every search box gets.
_ODD = ("a", " ", "\t", "?", "🦆", "ﬃ ½ Å", "検索 поиск بحث", "\0", "a" * 3_000, "a b " * 3_000)


@dataclass(frozen=True)
class Proof:
    """1 - cosine between the vectors of two encoders: largest and mean over so many texts."""

    texts: int
    max_difference: float
    mean_difference: float


def prove_equal(exported: Encoder, original: Encoder, texts: Sequence[str]) -> Proof:
    """Raises Refused where a text's vectors differ by more than MAX_DIFFERENCE, and names it."""
    ours = np.asarray(exported.encode(texts), dtype=np.float64)
    theirs = np.asarray(original.encode(texts), dtype=np.float64)
    apart = _differences(ours, theirs)
    worst = int(np.argmax(apart))
    if not apart[worst] <= MAX_DIFFERENCE:
        raise Refused(
            f"the exported encoder differs from {original.digest} by {apart[worst]:.3g} for "
            f"{texts[worst][:60]!r} (1 - cosine, at most {MAX_DIFFERENCE:g} on each of "
            f"{len(texts):,} texts); serve it with PERENNIAL_RUNTIME=torch"
        )
    return Proof(len(texts), float(apart[worst]), float(apart.mean()))


def proof_texts(
    queries: Iterable[str], documents: Iterable[str], *, count: int = TEXTS
) -> list[str]:
    """`count` distinct texts: odd ones, queries and documents by turns, then their beginnings.

    A function of the texts alone; fewer where there are too few words for so many.
    """
    whole = list(dict.fromkeys(_by_turns(queries, documents)))
    return list(islice(dict.fromkeys(chain(_ODD, whole, _beginnings(whole))), count))


def _by_turns(queries: Iterable[str], documents: Iterable[str]) -> Iterator[str]:
    for pair in zip_longest(queries, documents):
        yield from (text for text in pair if text)


def _beginnings(texts: Sequence[str]) -> Iterator[str]:
    """One word of each text, then two of each, and so on; then the same before another text."""
    words = [text.split() for text in texts]
    for others in range(len(words)):
        for length in range(1, max(map(len, words)) + 1):
            for number, row in enumerate(words):
                if length <= len(row):
                    yield " ".join(row[:length] + words[number - others] * bool(others))


def _differences(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """(n, d) and (n, d) rows to (n,) 1 - cosine; two zero rows are equal, one is all apart."""
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine = np.divide((ours * theirs).sum(axis=1), norms, out=np.zeros(len(ours)), where=norms > 0)
    cosine[~ours.any(axis=1) & ~theirs.any(axis=1)] = 1.0
    apart: np.ndarray = np.where(np.isfinite(cosine), np.maximum(1 - cosine, 0.0), np.inf)
    return apart
