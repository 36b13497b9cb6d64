"""What a person reads of a found document: its title and its first words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_CHARACTERS = 140


@dataclass(frozen=True)
class Excerpt:
    """`title` is None where the catalogue does not hold the document."""

    title: str | None
    first_words: str


def read_excerpts(source: Path, doc_ids: Sequence[str]) -> dict[str, Excerpt]:
    """doc_id to excerpt from `source`/catalogue.parquet; what is not there is left out."""
    path = source / "catalogue.parquet"
    if not path.is_file() or not doc_ids:
        return {}
    try:
        table = pq.read_table(
            path,
            columns=["doc_id", "title", "text"],
            filters=[("doc_id", "in", set(doc_ids))],
        )
    except (OSError, pa.ArrowException):
        return {}  # an answer without titles is better than none
    return {
        row["doc_id"]: Excerpt(row["title"], _first_words(row["text"])) for row in table.to_pylist()
    }


def _first_words(text: str) -> str:
    words = " ".join(text[: 4 * _CHARACTERS].split())
    return words if len(words) <= _CHARACTERS else words[:_CHARACTERS].rpartition(" ")[0] + " …"
