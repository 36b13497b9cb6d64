"""Whether a file that is no table names a session: pages, JSON, CSV, logs and databases."""

import html
import json
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

from perennial.verbs.forgetting.session import Session

_PART_OF_A_NAME = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_ENDS = frozenset(b"\"'<>,;`|\n\r\t()[]\\\x00")  # a backslash: JSON inside of JSON
_LEAST_NAME_BYTES = 4  # shorter ids stand in any file by chance
_MOST_SPACE = 200  # that a page sets around what it shows


def names_it(session: Session) -> Callable[[Path], bool]:
    """A function from a file to whether it names the session.

    An id counts where it is no part of a longer name; a query where it is all of a text: within
    quotes or tags, a cell or a line, as JSON and HTML write it.
    """
    ids = [each.encode() for each in sorted(session.ids)]
    ids = [each for each in ids if len(each) >= _LEAST_NAME_BYTES]
    written = {form.encode() for query in session.queries for form in _forms(query)}
    queries = sorted(written)

    def find(path: Path) -> bool:
        if not path.stat().st_size:
            return False
        with path.open("rb") as stream:
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        with data:
            named = (_is_a_name(data, at, len(each)) for each in ids for at in _places(data, each))
            if any(named):
                return True
            return any(
                _is_whole(data, at, len(each)) for each in queries for at in _places(data, each)
            )

    return find


def _forms(query: str) -> set[str]:
    """The query as a page, JSON or a script in a page writes it."""
    quoted = (json.dumps(query)[1:-1], json.dumps(query, ensure_ascii=False)[1:-1])
    return {query, html.escape(query), html.escape(query, quote=False), *quoted} | {
        each.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        for each in quoted
    }


def _places(data: mmap.mmap, sought: bytes) -> Iterator[int]:
    at = data.find(sought)
    while at >= 0:
        yield at
        at = data.find(sought, at + 1)


def _is_a_name(data: mmap.mmap, at: int, length: int) -> bool:
    before, after = data[max(at - 1, 0) : at], data[at + length : at + length + 1]
    return not _PART_OF_A_NAME.intersection(before + after)


def _is_whole(data: mmap.mmap, at: int, length: int) -> bool:
    before = data[max(at - _MOST_SPACE, 0) : at].rstrip(b" ")
    after = data[at + length : at + length + _MOST_SPACE].lstrip(b" ")
    return (not before or before[-1] in _ENDS) and (not after or after[0] in _ENDS)
