"""Who sent a delivery: four ways to prove it, all compared in constant time.

| headers | signed | sent by |
|---|---|---|
| webhook-id, -timestamp, -signature | `id.timestamp.body`, `v1,` base64 | Standard Webhooks |
| x-mlflow-delivery-id, -timestamp, -signature | the same | MLflow's registry |
| x-grafana-alerting-signature, -timestamp | `timestamp:body`, hex | Grafana, from 12.0 on |
| authorization: Bearer SECRET | nothing: whoever reads it once may say anything | Alertmanager |
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from tasks.receiving.secrets import Pairs

_STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
_MLFLOW = ("x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature")
_GRAFANA = ("x-grafana-alerting-timestamp", "x-grafana-alerting-signature")
_LONGEST_ID = 200


class NotBelieved(Exception):
    """Nobody we know sent it, or not now; the message says which."""


@dataclass(frozen=True)
class Sender:
    """Whose secret it was; the id that was signed, and the signature, where there is one."""

    source: str
    delivery: str | None
    signature: str | None


def believed(
    headers: Mapping[str, str], body: bytes, *, pairs: Pairs, now: float, fresh_seconds: float
) -> Sender:
    """The sender; raises NotBelieved. `headers` in lower case, `now` in Unix seconds."""
    for names in (_STANDARD, _MLFLOW):
        if names[2] in headers:
            delivery, sent, given = (headers.get(name, "") for name in names)
            if not 0 < len(delivery) <= _LONGEST_ID:
                raise NotBelieved(f"the header {names[0]} is missing or too long; send a short one")
            signed = f"{delivery}.{sent}.".encode(errors="replace") + body
            source, mac = _owner(given.split(), pairs, partial(standard_mac, signed=signed))
            _check_time(sent, names[1], now=now, fresh_seconds=fresh_seconds)
            return Sender(source, delivery, mac)
    if _GRAFANA[1] in headers:
        sent, given = (headers.get(name, "") for name in _GRAFANA)
        if not sent:
            raise NotBelieved(
                "it is signed without a time, and could be sent again for ever; set the contact "
                "point's Timestamp Header to X-Grafana-Alerting-Timestamp"
            )
        signed = f"{sent}:".encode(errors="replace") + body
        source, mac = _owner([given.strip().lower()], pairs, partial(hex_mac, signed=signed))
        _check_time(sent, _GRAFANA[0], now=now, fresh_seconds=fresh_seconds)
        return Sender(source, None, mac)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return Sender(_owner([token.strip()], pairs, lambda key: key)[0], None, None)
    raise NotBelieved("nothing says who sent it; sign it, or send `Authorization: Bearer SECRET`")


def standard_mac(key: bytes, signed: bytes) -> bytes:
    """`v1,` and base64 of HMAC-SHA256: the signature of Standard Webhooks, and of MLflow."""
    return b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())


def hex_mac(key: bytes, signed: bytes) -> bytes:
    """HMAC-SHA256 in hex: the signature of Grafana."""
    return hmac.new(key, signed, hashlib.sha256).hexdigest().encode()


def _owner(given: list[str], pairs: Pairs, expected: Callable[[bytes], bytes]) -> tuple[str, str]:
    """Whose secret explains one of the given, and which; takes as long for any of them, or none."""
    offered = [each.encode(errors="replace") for each in given[:5]]
    found = None
    for source, key in pairs:
        wanted = expected(key)
        for each in offered:
            if hmac.compare_digest(wanted, each):
                found = source, wanted.decode(errors="replace")
    if found is None:
        raise NotBelieved("no secret that is valid now explains its signature or token")
    return found


def _check_time(sent: str, header: str, *, now: float, fresh_seconds: float) -> None:
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 12):
        raise NotBelieved(f"the header {header} is no Unix time in seconds; send one")
    if abs(age := now - int(sent)) > fresh_seconds:
        direction = "ago" if age > 0 else "in the future"
        raise NotBelieved(
            f"it was signed {abs(age):.0f} s {direction}, and {fresh_seconds:g} s are believed; "
            "sign it anew, and look at both clocks"
        )
