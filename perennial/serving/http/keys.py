"""Access keys: who may ask. Several at once, so that one can be replaced while the other holds."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from ipaddress import ip_address

from perennial.errors import BadInput

_SHORTEST = 16


class AccessKeys:
    """Knows digests only, so that no key can be printed by mistake; empty, it lets everybody in."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises BadInput for a key that could be guessed."""
        if any(len(key) < _SHORTEST for key in keys):
            raise BadInput(
                f"a key in PERENNIAL_ACCESS_KEYS has fewer than {_SHORTEST} characters; make one "
                "with `python -c 'import secrets; print(secrets.token_urlsafe(24))'`"
            )
        self._digests = tuple(sha256(key.encode()).digest() for key in keys)

    def __len__(self) -> int:
        return len(self._digests)

    def owner(self, presented: str) -> str | None:
        """A name of the key for counting, or None; takes as long for a wrong key as for any."""
        digest, found = sha256(presented.encode("utf-8", "replace")).digest(), None
        for number, known in enumerate(self._digests):
            if hmac.compare_digest(digest, known):
                found = f"key {number + 1}"
        return found


def is_loopback(host: str) -> bool:
    """True where only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_exposure(host: str, *, keys: AccessKeys, has_events_key: bool) -> None:
    """Raise BadInput where others could reach the service and nothing would ask them for a key."""
    if is_loopback(host):
        return
    if not keys:
        raise BadInput(
            f"--host {host} is reached from other machines; set PERENNIAL_ACCESS_KEYS, or leave "
            "--host at 127.0.0.1"
        )
    if not has_events_key:
        raise BadInput(
            f"--host {host} is reached from other machines; set PERENNIAL_EVENTS_KEY, the same for "
            "each process of the service, so that events are known to be answers' own"
        )
