"""Request ids that this service made, and can read again: when, what was shown, and a MAC of both.

An event is thereby known to be about a document of its answer, in every process that has the key
and without any memory. The MAC is keyed BLAKE2 (RFC 7693, 2.9): HMAC's two hashes took four times
as long. Ids of this version's format and of the one before it are read, so that processes can be
replaced one by one; each format has a key of its own, so that none is read as another.
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
from random import Random
from zlib import crc32

_VERSION = 1  # an id's first byte; that of the format before was the time's, and 0
_ABOUT = (b"perennial request ", b"perennial request 1 ")  # in the key, by version
_MAC, _RANDOM = 16, 9  # bytes: none is guessed, and no two of one microsecond fall together
_HEAD = struct.Struct(f">BQ{_RANDOM}s")  # version, microseconds since 1970; then documents' marks
_HEAD_BEFORE = struct.Struct(f">QB{_RANDOM}s")  # microseconds, how many documents
_MARK = 0xFFFF  # the bits of a document's id that are told
MOST = 100  # documents that an id tells of: more would make it longer than a row of the log
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Ticket:
    """What a request id says of its answer."""

    ts: datetime
    shown: frozenset[int]

    def may_have_shown(self, doc_id: str) -> bool:
        """False for what was not among the first hundred; true by mistake once in some thousand
        times."""
        return crc32(doc_id.encode()) & _MARK in self.shown


class Tickets:
    """Makes and reads request ids under one key, which every process of a service shares."""

    def __init__(self, key: bytes) -> None:
        # They must differ, and the MAC alone be unguessable: no system call for each answer.
        self._random = Random(secrets.randbits(256))  # noqa: S311
        self._keyed = [blake2b(key=sha256(a + key).digest(), digest_size=_MAC) for a in _ABOUT]

    def new(self, ts: datetime, pages: Sequence[Sequence[str]]) -> list[str]:
        """An id for each page of documents that was shown at `ts`, which no other request has."""
        since = (ts - _EPOCH) // _MICROSECOND
        random = self._random.randbytes(_RANDOM * len(pages))
        found = []
        for number, doc_ids in enumerate(pages):
            own = random[_RANDOM * number : _RANDOM * (number + 1)]
            told = [crc32(doc_id.encode()) & _MARK for doc_id in doc_ids[:MOST]]
            body = _HEAD.pack(_VERSION, since, own) + struct.pack(f">{len(told)}H", *told)
            found.append(_spelled(body + self._mac(body, _VERSION)))
        return found

    def read(self, request_id: str) -> Ticket | None:
        """None unless somebody with the key made it; the time it takes tells nothing of the MAC."""
        try:
            data = base64.b64decode(request_id + "=" * (-len(request_id) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        body, mac = data[:-_MAC], data[-_MAC:]
        if len(body) < _HEAD.size or (version := body[0]) > _VERSION:
            return None
        # The encoding's spare bits are nobody's: one id has one spelling.
        is_ours = hmac.compare_digest(mac, self._mac(body, version))
        if not is_ours or _spelled(data) != request_id:
            return None
        if version == _VERSION:
            _, since, _ = _HEAD.unpack_from(body)
        else:
            since, _, _ = _HEAD_BEFORE.unpack_from(body)
        told = struct.unpack(f">{(len(body) - _HEAD.size) // 2}H", body[_HEAD.size :])
        return Ticket(_EPOCH + since * _MICROSECOND, frozenset(told))

    def _mac(self, body: bytes, version: int) -> bytes:
        found = self._keyed[version].copy()
        found.update(body)
        return found.digest()


def _spelled(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
