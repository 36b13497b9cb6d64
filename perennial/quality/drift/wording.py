"""What queries are made of: words that no other day knows, how many, letters of which script."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_WORD = re.compile(r"\w+")
REFERENCE = -1  # a day on which everything was asked that is kept with the champion


class Words:
    """The words of t distinct texts, as numbers, one text after the other."""

    def __init__(self, texts: Sequence[str]) -> None:
        known: dict[str, int] = {}
        found = [[known.setdefault(w, len(known)) for w in words_of(text)] for text in texts]
        self.lengths = np.array([len(each) for each in found], dtype=np.int64)
        self._starts = np.cumsum(self.lengths) - self.lengths
        self._words = np.array([w for each in found for w in each], dtype=np.int64)
        self._known = len(known)

    def unseen(self, texts: Ints, days: Ints) -> Flags:
        """(n,) text numbers and the days on which they were asked to flags: a word of it was asked
        on no other day."""
        lengths = self.lengths[texts]
        row = np.repeat(np.arange(len(texts)), lengths)
        within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        words = self._words[np.repeat(self._starts[texts], lengths) + within]
        span = int(days.max(initial=0)) + 2  # REFERENCE is a day, too
        pairs = np.unique(words * span + (days[row] + 1))
        seen = np.bincount(pairs // span, minlength=self._known)
        alone = np.bincount(row, seen[words] == 1, minlength=len(texts))
        return np.asarray(alone > 0)


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, without regard to case."""
    return _WORD.findall(text.casefold())


def script_of(text: str) -> str:
    """The script of most of its letters, as Unicode names them; empty where there is none."""
    scripts = [unicodedata.name(c, "?").split(" ")[0] for c in text if c.isalpha()]
    return max(sorted(set(scripts)), key=scripts.count) if scripts else ""
