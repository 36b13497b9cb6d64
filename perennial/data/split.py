"""Which queries are held out: a hash of what a query asks, so that no paraphrase crosses over."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"[^\W_]+")  # take_along_axis is three words, as it is to every tokenizer here
# Words that change nothing in what is asked; kept short, since a word listed here by mistake
# only joins two queries on one side of the split.
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can do does for from how i in into is it its my of on or that "
        "the this to was what when where which who why with you your",
    )
)
_TAKES_ES = ("sse", "xe", "che", "she", "ze")


def content_key(query: str) -> str:
    """The query's sorted content words, case-folded, without endings of the plural: its identity.

    Queries of one key ask the same thing in another order or number and fall on one side.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", query).casefold())
    words = set(_WORD.findall(plain))
    return " ".join(sorted({_stem(word) for word in words - _STOP_WORDS} or words)) or plain.strip()


def is_held_out(queries: Sequence[str], *, share: float, salt: str) -> np.ndarray:
    """(n,) bool: True for about `share` of the content keys, always the same ones for one salt."""
    bound = int(share * 2**64)
    place: dict[str, int] = {}
    rows = np.array([place.setdefault(query, len(place)) for query in queries], dtype=np.int64)
    sides = np.array([_hash(salt, content_key(query)) < bound for query in place], dtype=bool)
    return sides[rows]  # a log repeats its queries: each distinct one is hashed once


def _hash(salt: str, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{salt}\0{key}".encode("utf-8", "replace")).digest()[:8])


def _stem(word: str) -> str:
    """One form for box and boxes, query and queries, cache and caches; too short a form for some
    words only joins them."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) <= 3:
        return word
    if word.endswith("ie"):
        return word[:-2] + "y"
    return word[:-1] if word.endswith(_TAKES_ES) else word
