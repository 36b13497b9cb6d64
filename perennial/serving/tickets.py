"""Request ids that this service made, and can read again: when, what was shown, and a MAC of both.

An event is thereby known to be about a document of its answer, in every process that has the key
and without any memory. The MAC is keyed BLAKE2 (RFC 7693, 2.9): HMAC's two hashes took four times
as long.
"""

import base64
import binascii
import hmac
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha256
from zlib import crc32

_ABOUT = b"perennial request "
_MAC, _RANDOM = 16, 9  # bytes: none is guessed, and no two of one microsecond fall together
_HEAD = struct.Struct(f">QB{_RANDOM}s")  # microseconds since 1970, how many documents, and those
_MARK = 0xFFFF  # the bits of a document's id that are told
_MOST = 100  # documents that an id tells of; a longer page would make it longer than its rows
_UNTOLD = 255
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Ticket:
    """What a request id says of its answer."""

    ts: datetime
    shown: frozenset[int] | None  # None: too many to tell

    def may_have_shown(self, doc_id: str) -> bool:
        """False only for what was not shown; true by mistake once in some thousand times."""
        return self.shown is None or crc32(doc_id.encode()) & _MARK in self.shown


class Tickets:
    """Makes and reads request ids under one key, which every process of a service shares."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=sha256(_ABOUT + key).digest(), digest_size=_MAC)

    def new(self, ts: datetime, pages: Sequence[Sequence[str]]) -> list[str]:
        """An id for each page of documents that was shown at `ts`, which no other request has."""
        since, random = (ts - _EPOCH) // _MICROSECOND, secrets.token_bytes(_RANDOM * len(pages))
        found = []
        for number, doc_ids in enumerate(pages):
            own = random[_RANDOM * number : _RANDOM * (number + 1)]
            if (count := len(doc_ids)) <= _MOST:
                marks = struct.pack(f">{count}H", *[crc32(d.encode()) & _MARK for d in doc_ids])
                body = _HEAD.pack(since, count, own) + marks
            else:
                body = _HEAD.pack(since, _UNTOLD, own)
            found.append(_spelled(body + self._mac(body)))
        return found

    def read(self, request_id: str) -> Ticket | None:
        """None unless somebody with the key made it; the time it takes tells nothing of the MAC."""
        try:
            data = base64.b64decode(request_id + "=" * (-len(request_id) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        body, mac = data[:-_MAC], data[-_MAC:]
        # The encoding's spare bits are nobody's: one id has one spelling.
        is_ours = hmac.compare_digest(mac, self._mac(body)) and len(body) >= _HEAD.size
        if not is_ours or _spelled(data) != request_id:
            return None
        since, count, _ = _HEAD.unpack_from(body)
        told = frozenset(struct.unpack(f">{len(body) // 2 - _HEAD.size // 2}H", body[_HEAD.size :]))
        return Ticket(_EPOCH + since * _MICROSECOND, None if count == _UNTOLD else told)

    def _mac(self, body: bytes) -> bytes:
        found = self._keyed.copy()
        found.update(body)
        return found.digest()


def _spelled(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
