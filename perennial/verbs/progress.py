"""A bar of bytes on stderr for people; nothing where a program reads or no terminal listens."""

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from perennial.release.stores.store import Progress as OnBytes
from perennial.release.stores.store import silent


@contextlib.contextmanager
def bytes_bar(label: str, total: int, *, is_shown: bool) -> Iterator[OnBytes]:
    """A function that is told the bytes done since its last call."""
    if not is_shown or not sys.stderr.isatty():
        yield silent
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.advance(task, done)


def megabytes(size: int) -> str:
    """1234567 to "1.2 MB"."""
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def warn(sentence: str) -> None:
    """A sentence beside the result, on stderr."""
    print(f"perennial: {sentence}", file=sys.stderr)
