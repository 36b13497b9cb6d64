"""Deliveries to the webhook receiver of which it is known which may start a run."""

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.receiving.signatures import hex_mac, standard_mac

SECRETS = {
    "evidently": "the secret that Evidently's job signs with",
    "mlflow": "the secret that MLflow was given",
    "grafana": "the secret of Grafana's contact point",
    "alertmanager": "the token that Alertmanager sends",
}
FRESH_SECONDS = 300.0
BAD = ("duplicate", "replay", "elsewhere", "forgery", "tampered", "stale", "early", "malformed")


@dataclass(frozen=True)
class Delivery:
    """One POST at a moment, in Unix seconds; `key` tells the allowed ones apart."""

    at: float
    deployment: str
    headers: dict[str, str]
    body: bytes
    kind: str
    source: str
    key: str


def deliveries(*, allowed: int, bad: int, seed: int, begin: float) -> Iterator[Delivery]:
    """`allowed` that may start a run and `bad` that may not, mixed; 10 milliseconds apart."""
    chance, made = random.Random(seed), list[Delivery]()  # noqa: S311  a world, no secret
    left = {"allowed": allowed, "bad": bad}
    for number in range(allowed + bad):
        at = begin + number / 100
        is_bad = bool(made) and chance.random() < left["bad"] / (left["bad"] + left["allowed"])
        left["bad" if is_bad else "allowed"] -= 1
        if is_bad:
            yield _bad(chance, BAD[number % len(BAD)], made, number, at)
        else:
            made.append(_allowed(chance, number, at))
            yield made[-1]


def signed(source: str, body: bytes, *, delivery: str, at: float, secret: str) -> dict[str, str]:
    """The headers with which each source proves itself."""
    sent, key = str(int(at)), secret.encode()
    if source == "grafana":
        mac = hex_mac(key, f"{sent}:".encode() + body).decode()
        return {"x-grafana-alerting-timestamp": sent, "x-grafana-alerting-signature": mac}
    if source == "alertmanager":
        return {"authorization": f"Bearer {secret}"}
    mac = standard_mac(key, f"{delivery}.{sent}.".encode() + body).decode()
    prefix, name = ("x-mlflow-", "delivery-id") if source == "mlflow" else ("webhook-", "id")
    return {f"{prefix}{name}": delivery, f"{prefix}timestamp": sent, f"{prefix}signature": mac}


def _allowed(chance: random.Random, number: int, at: float) -> Delivery:
    source, deployment = chance.choice(list(SECRETS)), chance.choice(["retrain", "reindex"])
    body = json.dumps(_said(source, number)).encode()
    headers = signed(source, body, delivery=f"d-{number}", at=at, secret=SECRETS[source])
    return Delivery(at, deployment, headers, body, "allowed", source, f"{number}")


def _said(source: str, number: int) -> dict[str, object]:
    if source in ("grafana", "alertmanager"):
        alert = {"status": "firing", "fingerprint": f"f-{number}", "labels": {"alertname": "Drift"}}
        return {"status": "firing", "alerts": [alert | {"startsAt": "2026-11-21T12:00:00Z"}]}
    if source == "mlflow":
        data = {"name": "base", "version": str(number)}
        return {"entity": "model_version", "action": "created", "data": data}
    return {"reason": f"drift {number}", "evidence": [{"name": "psi", "value": 0.4, "n": 900}]}


def _bad(
    chance: random.Random, kind: str, made: list[Delivery], number: int, at: float
) -> Delivery:
    one = chance.choice(made[-2_000:])  # signed less than FRESH_SECONDS ago
    secret, body = SECRETS[one.source], one.body
    one = replace(one, at=at, kind=kind)
    if kind in ("replay", "elsewhere"):
        other = {"retrain": "reindex", "reindex": "retrain"}[one.deployment]
        if kind == "replay" or one.source == "alertmanager":  # a bearer token binds nothing
            return one
        return replace(one, deployment=other)
    # Only who signs a time can be late, and only who signs the body can be found out.
    source = one.source if one.source != "alertmanager" else "evidently"
    if kind == "duplicate":
        return replace(one, headers=_again(one, at))
    if kind == "forgery":
        guess = base64.b64encode(chance.randbytes(24)).decode()
        headers = signed(one.source, body, delivery=f"d-{number}", at=at, secret=guess)
        return replace(one, headers=headers)
    if kind == "malformed":
        broken = chance.choice([body[: len(body) // 2], b"[]", b"\xff\xfe", b'{"reason": ""}', b""])
        headers = signed(one.source, broken, delivery=f"d-{number}", at=at, secret=secret)
        return replace(one, headers=headers, body=broken)
    secret = SECRETS[source]
    body = json.dumps(_said(source, number)).encode()
    if kind == "tampered":
        headers = signed(source, body, delivery=f"d-{number}", at=at, secret=secret)
        return replace(one, headers=headers, body=body + b" ")
    when = at + (-1 if kind == "stale" else 1) * (FRESH_SECONDS + 2 + 1e5 * chance.random())
    headers = signed(source, body, delivery=f"d-{number}", at=when, secret=secret)
    return replace(one, headers=headers, body=body)


def _again(one: Delivery, at: float) -> dict[str, str]:
    """The same delivery, tried again by its sender and signed anew."""
    return signed(one.source, one.body, delivery=f"d-{one.key}", at=at, secret=SECRETS[one.source])
