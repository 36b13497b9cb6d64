"""What of a document an encoder and a lexical index read."""

import re
from collections.abc import Sequence

import pandas as pd

_SENTENCE = re.compile(r".{15,}?[.!?\n](?=\s)", re.DOTALL)
# `abs(x, /) -> Tensor` and a blank line: how many docstrings begin; it is no sentence.
_SIGNATURE = re.compile(r"[\w.]+\([^\n]*(?:\n[ \t]+[^\n]*){0,30}\n[ \t]*\n")
# A heading or a directive, not something that somebody would ask.
_NOT_PROSE = ("Param", "---", "Return", ".. ")
_TOO_SHORT = 30  # characters; less of a page does not say what the page is about


def indexed_texts(catalogue: pd.DataFrame) -> list[str]:
    """Each document's title and text, as every index embeds it."""
    pairs = zip(catalogue["title"].tolist(), catalogue["text"].tolist(), strict=True)
    return [f"{title}\n{text}" if title else text for title, text in pairs]


def catalogue_pairs(titles: Sequence[str], texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """(sentences, the rest of their pages): what a catalogue can teach without any click.

    The inverse cloze task (Lee et al. 2019, "Latent Retrieval"), with the sentence that people
    write to sum the page up, and with the one after it. Pages without a rest teach nothing.
    """
    sentences: list[str] = []
    rests: list[str] = []
    for title, text in zip(titles, texts, strict=True):
        body = _without_signature(text.strip()).strip()
        first = _first_sentence(body)
        rest = body[len(first) :]
        if len(rest) <= _TOO_SHORT:
            continue
        sentences.append(" ".join(first.split()))
        rests.append(f"{title}\n{rest}")
        rest = rest.lstrip()
        second = _SENTENCE.match(rest)
        if second is None or rest.startswith(_NOT_PROSE):
            continue
        without = first + " " + rest[second.end() :].lstrip()
        if len(without) - len(first) > _TOO_SHORT:
            sentences.append(" ".join(second.group().split()))
            rests.append(f"{title}\n{without}")
    return sentences, rests


def _without_signature(body: str) -> str:
    found = _SIGNATURE.match(body)
    return body[found.end() :] if found else body


def _first_sentence(body: str) -> str:
    found = _SENTENCE.match(body)
    return found.group() if found else body[:100]
