"""The names under which a service answers.

Any page that a person opens may let its own name point at 127.0.0.1 and then ask whatever listens
there (DNS rebinding); the name stays the page's own.
"""

from collections.abc import Sequence
from functools import lru_cache

from perennial.serving.http.keys import is_loopback


class Hosts:
    """On loopback this machine's own names and the given ones; elsewhere, where a key is asked for,
    the given ones, or any where none is given."""

    def __init__(self, bound: str, given: Sequence[str] = ()) -> None:
        self._given = frozenset(name.lower() for name in given)
        self._is_open = not self._given and not is_loopback(bound)
        self._known = lru_cache(maxsize=64)(self._check)

    def allow(self, header: bytes | None) -> bool:
        """Whether a request with this Host header is meant for us; a browser always sends one."""
        return header is None or self._known(header)

    def sentence(self, header: bytes | None) -> str:
        """Why not."""
        name = _name((header or b"")[:80])
        return (
            f"the service does not answer as {name!r}; ask it as localhost, or name the host in "
            "PERENNIAL_HOSTS"
        )

    def _check(self, header: bytes) -> bool:
        name = _name(header)
        return self._is_open or name in self._given or is_loopback(name)


def _name(header: bytes) -> str:
    """Without the port, and an address of version 6 without its brackets."""
    text = header.decode("latin-1").lower().strip()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]
