"""What a service tells of found documents, looked up by their ids.

A table of excerpts is made of the catalogue when one is first asked for, and again when the
catalogue has changed: that takes a second for a hundred thousand documents, in which the table
before answers on. It lies in a file without a name, which is gone with its process.
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
from perennial.serving.priority import step_back

_ROWS = 5_000  # at once, so that no answer waits for long
_ADD = "insert into excerpts values (?, ?, ?)"
_FIND = "select * from excerpts where doc_id in (select value from json_each(?))"
_Stamp = tuple[int, int, int]


class Titles:
    """The excerpts of one catalogue, for any thread; where it cannot be read, of the one before."""

    def __init__(self, catalogue: Path) -> None:
        self._catalogue = catalogue
        self._asking = threading.Lock()
        self._made_of: _Stamp | None = None
        self._table: sqlite3.Connection | None = None
        self._maker: threading.Thread | None = None
        self._is_closed = False

    def of(self, doc_ids: Sequence[str]) -> dict[str, Excerpt]:
        """doc_id to excerpt; what the catalogue does not hold is left out."""
        if (first := self._follow()) is not None:
            first.join()
        with self._asking:
            if self._table is None:
                return {}
            rows = self._table.execute(_FIND, [json.dumps(list(doc_ids))]).fetchall()
        return {doc_id: Excerpt(title, first_words(text)) for doc_id, title, text in rows}

    def close(self) -> None:
        """Let go of the table."""
        with self._asking:
            self._is_closed = True
            self._let_go()

    def _follow(self) -> threading.Thread | None:
        """Have a table made where there is another catalogue; who makes the first, to wait for."""
        try:
            about = self._catalogue.stat()
        except OSError:
            with self._asking:
                self._let_go()
            return None
        stamp = about.st_ino, about.st_size, about.st_mtime_ns
        with self._asking:
            if stamp != self._made_of and self._maker is None:
                self._maker = threading.Thread(
                    target=self._make, args=(stamp,), name="perennial-titles", daemon=True
                )
                self._maker.start()
            return self._maker if self._table is None else None

    def _make(self, stamp: _Stamp) -> None:
        table: sqlite3.Connection | None = None
        try:
            if self._table is not None:  # nobody waits
                step_back()
            table = _made(self._catalogue)
        finally:
            with self._asking:
                self._maker = None  # where none could be made, the next who asks tries again
                if self._is_closed:
                    if table is not None:
                        table.close()
                elif table is not None:
                    self._let_go()
                    self._table, self._made_of = table, stamp

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
    except BaseException:
        table.close()
        raise
    return table
