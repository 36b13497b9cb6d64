"""Request ids that this service made, and can know again: random, and a MAC of it (RFC 2104)."""

import hmac
import secrets
from hashlib import sha256

_RANDOM, _MAC = 24, 32  # hex digits: no two fall together, and none is guessed
_ABOUT = b"perennial request "


class Tickets:
    """Makes and checks request ids under one key, which every process of a service shares."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new(self) -> str:
        """A request id that no other request has."""
        body = secrets.token_hex(_RANDOM // 2)
        return f"{body}-{self._mac(body)}"

    def is_ours(self, request_id: str) -> bool:
        """True where somebody with the key made it; the time it takes tells nothing."""
        body, _, mac = request_id.partition("-")
        return hmac.compare_digest(mac.encode(), self._mac(body).encode())

    def _mac(self, body: str) -> str:
        return hmac.digest(self._key, _ABOUT + body.encode(), sha256).hex()[:_MAC]
