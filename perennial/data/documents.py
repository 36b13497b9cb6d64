"""What of a document an encoder and a lexical index read."""

import re
from collections.abc import Sequence

import pandas as pd

_SENTENCE = re.compile(r".{15,}?[.!?\n](?=\s)", re.DOTALL)
_TOO_SHORT = 30  # characters; less of a page does not say what the page is about


def indexed_texts(catalogue: pd.DataFrame) -> list[str]:
    """Each document's title and text, as every index embeds it."""
    pairs = zip(catalogue["title"].tolist(), catalogue["text"].tolist(), strict=True)
    return [f"{title}\n{text}" if title else text for title, text in pairs]


def catalogue_pairs(titles: Sequence[str], texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """(first sentences, the rest of their pages): what a catalogue can teach without any click.

    The inverse cloze task (Lee et al. 2019, "Latent Retrieval"), with the sentence that people
    write to sum the page up. Pages without a rest teach nothing and are left out.
    """
    sentences, rests = [], []
    for title, text in zip(titles, texts, strict=True):
        body = text.strip()
        found = _SENTENCE.match(body)
        sentence = found.group() if found else body[:100]
        rest = body[len(sentence) :]
        if len(rest) > _TOO_SHORT:
            sentences.append(" ".join(sentence.split()))
            rests.append(f"{title}\n{rest}")
    return sentences, rests
