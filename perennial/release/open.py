"""From the place that the environment names to the store that is there."""

from pathlib import Path

from perennial.errors import BadInput
from perennial.release.local import LocalStore
from perennial.release.store import Store


def open_store(place: str) -> Store:
    """The store of a folder or a `file://` address; raises BadInput for any other address."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        return LocalStore(Path(place).absolute())
    if scheme == "file":
        return LocalStore(Path(rest).absolute())
    raise BadInput(f"the store {place!r} is neither a folder nor an address that is understood")
