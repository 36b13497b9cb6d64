"""What of a text a lexical index counts: its words, in lower case, without the commonest."""

import hashlib
import re
from collections.abc import Callable

import numpy as np

# bm25s's own tokenizer says the same, and a test holds it; its import takes serving half a second.
split: Callable[[str], list[str]] = re.compile(r"(?u)\b\w\w+\b").findall
STOP_WORDS = (
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they",
    "this", "to", "was", "will", "with",
)  # fmt: skip
_STOPPED = frozenset(STOP_WORDS)


def words_of(text: str) -> list[str]:
    """The words of two characters and more, as often as they stand there."""
    return [word for word in split(text.lower()) if word not in _STOPPED]


def word_hashes(words: list[str]) -> np.ndarray:
    """(n,) uint64: what stands for words in stored bytes.

    A number needs no parsing and no dictionary in memory; that any two words of a million have one
    in common has a chance of 3 in 100 million.
    """
    return _hashes(words, b"word")


def name_hashes(doc_ids: list[str]) -> np.ndarray:
    """(n,) uint64: what stands for documents there; a word that is spelt like an id has another."""
    return _hashes(doc_ids, b"doc_id")


def _hashes(names: list[str], kind: bytes) -> np.ndarray:
    coded = (name.encode("utf-8", "surrogatepass") for name in names)
    each = (hashlib.blake2b(name, digest_size=8, person=kind) for name in coded)
    return np.frombuffer(b"".join(h.digest() for h in each), dtype="<u8")
