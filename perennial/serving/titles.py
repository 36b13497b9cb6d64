"""What a service tells of found documents, looked up by their ids.

A table of excerpts is made of the catalogue when one is first asked for, and again when the
catalogue has changed; it lies in a file without a name, which is gone with its process.
"""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.serving.excerpts import READ_CHARACTERS, Excerpt, first_words

_ROWS = 5_000  # at once, so that no answer waits for long
_ADD = "insert into excerpts values (?, ?, ?)"
_FIND = "select * from excerpts where doc_id in (select value from json_each(?))"


class Titles:
    """The excerpts of one catalogue, for any thread; of one that cannot be read there are none."""

    def __init__(self, catalogue: Path) -> None:
        self._catalogue = catalogue
        self._asking = threading.Lock()
        self._made_of: tuple[int, int, int] | None = None
        self._table: sqlite3.Connection | None = None

    def of(self, doc_ids: Sequence[str]) -> dict[str, Excerpt]:
        """doc_id to excerpt; what the catalogue does not hold is left out."""
        with self._asking:
            self._follow()
            if self._table is None:
                return {}
            rows = self._table.execute(_FIND, [json.dumps(list(doc_ids))]).fetchall()
        return {doc_id: Excerpt(title, first_words(text)) for doc_id, title, text in rows}

    def close(self) -> None:
        """Let go of the table."""
        with self._asking:
            self._let_go()

    def _follow(self) -> None:
        try:
            about = self._catalogue.stat()
        except OSError:
            self._let_go()
            return
        stamp = about.st_ino, about.st_size, about.st_mtime_ns
        if stamp != self._made_of:
            self._let_go()
            self._table = _made(self._catalogue)
            # Where none could be made, a full disk may have room for one the next time.
            self._made_of = None if self._table is None else stamp

    def _let_go(self) -> None:
        if self._table is not None:
            self._table.close()
        self._table, self._made_of = None, None


def _made(catalogue: Path) -> sqlite3.Connection | None:
    """A table of the catalogue's ids, titles and beginnings; an answer without is better than
    none."""
    table = sqlite3.connect("", check_same_thread=False)
    try:
        table.execute("create table excerpts (doc_id text, title text, text text)")
        with pq.ParquetFile(catalogue) as file:
            for rows in file.iter_batches(_ROWS, columns=["doc_id", "title", "text"]):
                begun = pc.utf8_slice_codeunits(rows["text"], 0, READ_CHARACTERS)
                columns = (each.to_pylist() for each in (rows["doc_id"], rows["title"], begun))
                table.executemany(_ADD, zip(*columns, strict=True))
        table.execute("create index by_id on excerpts (doc_id)")
        table.commit()
    except (OSError, KeyError, pa.ArrowException, sqlite3.Error):
        table.close()
        return None
    return table
