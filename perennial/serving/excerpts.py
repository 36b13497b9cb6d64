"""What a person reads of a found document: its title and its first words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_CHARACTERS = 140
READ_CHARACTERS = 4 * _CHARACTERS  # of a text: much of it may be white space


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
    wanted = pa.array(sorted(set(doc_ids)), pa.string())
    found = {}
    try:
        # In batches, and not by read_table, which imports pandas and so doubles a search's start.
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["doc_id", "title", "text"]):
                for row in batch.filter(pc.is_in(batch["doc_id"], wanted)).to_pylist():
                    found[row["doc_id"]] = Excerpt(row["title"], first_words(row["text"]))
    except (OSError, KeyError, pa.ArrowException):
        return {}  # an answer without titles is better than none
    return found


def first_words(text: str | None) -> str:
    """The text's beginning, cut between two words."""
    words = " ".join((text or "")[:READ_CHARACTERS].split())
    return words if len(words) <= _CHARACTERS else words[:_CHARACTERS].rpartition(" ")[0] + " …"
