"""One byte string per value: the JSON that is hashed, signed and stored."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from perennial.errors import BadInput, IntegrityError

FORMAT_VERSION = 1
CHECKSUM = "sha256:"
T = TypeVar("T")


def canonical_json(value: Any) -> bytes:
    """Sorted keys, two spaces, no NaN; raises BadInput for what JSON cannot say."""
    try:
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"cannot be written as JSON ({error}); give plain finite numbers") from error
    return text.encode("ascii") + b"\n"


def parse_strictly(data: bytes, adapter: TypeAdapter[T], *, what: str) -> T:
    """The typed value of `data`; raises IntegrityError naming the first wrong field."""
    try:
        raw = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{what} is not JSON ({error}); {_REMEDY}") from error
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise IntegrityError(
            f"{what} has format_version {version!r}, this program reads {FORMAT_VERSION}; "
            "upgrade Perennial, or restore the file"
        )
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise IntegrityError(f"{what}: {place}: {first['msg'].lower()}; {_REMEDY}") from error


def utc_text(moment: datetime) -> str:
    """ISO 8601 UTC with a Z; raises BadInput for a time without a zone."""
    if moment.tzinfo is None:
        raise BadInput(f"the time {moment.isoformat()} has no zone; give UTC")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_utc(text: str) -> datetime:
    """The moment of an ISO 8601 text; raises BadInput where it is none or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{text!r} is not an ISO 8601 time; write 2026-01-31T12:00:00Z") from error
    if moment.tzinfo is None:
        raise BadInput(f"the time {text!r} has no zone; write it in UTC with a Z")
    return moment


def sign(payload: bytes, key: bytes) -> str:
    """`hmac-sha256:<hex>` of the payload (RFC 2104) under the key, of several with commas between
    them under the first."""
    return _signed(payload, _keys(key)[0])


def checksum(payload: bytes) -> str:
    """`sha256:<hex>` of the payload."""
    return f"{CHECKSUM}{hashlib.sha256(payload).hexdigest()}"


def check_signature(payload: bytes, signature: str | None, key: bytes, *, what: str) -> None:
    """Raise IntegrityError unless `signature` is the key's own over the payload, or any one's of
    several."""
    if signature is None or signature.startswith(CHECKSUM):
        raise IntegrityError(
            f"{what} is not signed, but PERENNIAL_SIGNING_KEY is set; publish it again with the key"
        )
    signed = [_signed(payload, each).encode() for each in _keys(key)]
    if not any(hmac.compare_digest(signature.encode(), each) for each in signed):
        raise IntegrityError(
            f"{what} carries the signature of another key or was altered; do not serve it, "
            "and find out who wrote it"
        )


def _signed(payload: bytes, key: bytes) -> str:
    return "hmac-sha256:" + hmac.new(key, payload, hashlib.sha256).hexdigest()


def _keys(key: bytes) -> list[bytes]:
    # And all of it as one: a key with a comma in it was whole before keys could be several.
    return [*(each for each in key.split(b",") if each), key]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


_REMEDY = "run `perennial verify`, and restore the file from a copy"
