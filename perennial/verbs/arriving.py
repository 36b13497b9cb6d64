"""An import arrives in the source folder as a whole or not at all, whatever is killed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.errors import PlaceUnusable

_INCOMING, _ARRIVED = ".incoming", ".arrived"


@contextmanager
def arriving(source: Path) -> Iterator[Path]:
    """A folder to fill as the source is laid out; what it holds replaces what has its name there.

    Nothing of it counts where the body raises. Raises PlaceUnusable.
    """
    incoming = source / _INCOMING
    try:
        settle(source)
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
        try:
            yield incoming
            incoming.rename(source / _ARRIVED)  # from here on it counts
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        settle(source)
    except OSError as error:
        raise PlaceUnusable(
            f"cannot write to {source}: {error.strerror or error}; make the folder writable or "
            "free some space, then run the same command again"
        ) from error


def settle(source: Path) -> None:
    """Put in place what an import that was killed had brought as a whole; safe for several."""
    arrived = source / _ARRIVED
    for path in sorted(arrived.rglob("*")):
        if path.is_file():
            place = source / path.relative_to(arrived)
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.replace(place)
            except FileNotFoundError:  # another reader was faster
                continue
    shutil.rmtree(arrived, ignore_errors=True)
