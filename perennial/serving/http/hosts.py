"""The names under which a service answers.

Any page that a person opens may let its own name point at 127.0.0.1 and then ask whatever listens
there (DNS rebinding); the name stays the page's own.
"""

from collections.abc import Sequence

from perennial.serving.http.keys import is_loopback


class Hosts:
    """On loopback this machine's own names and the given ones; elsewhere, where a key is asked for
    and probes come by an address, any."""

    def __init__(self, bound: str, given: Sequence[str] = ()) -> None:
        self._given = frozenset(map(_name, given))
        self._is_open = not is_loopback(bound)

    def allow(self, header: bytes | None) -> bool:
        """Whether a request with this Host header is meant for us; a browser always sends one."""
        if header is None or self._is_open:
            return True
        name = _name(header.decode("latin-1"))
        return name in self._given or is_loopback(name)

    def sentence(self, header: bytes | None) -> str:
        """Why not."""
        name = _name((header or b"")[:80].decode("latin-1"))
        return (
            f"the service does not answer as {name!r}; ask it as localhost, or name the host in "
            "PERENNIAL_HOSTS"
        )


def _name(text: str) -> str:
    """Without the port, and an address of version 6 without its brackets."""
    text = text.lower().strip()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name, _, port = text.partition(":")
    return text if ":" in port else name
