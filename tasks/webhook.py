"""MLflow's registry webhooks: who may have sent one, what it is about, and how to ask for them.

Only a tracking server sends them, never a client that writes into its database; it needs
MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY (a Fernet key) to keep our secret. A hook is a hint to look, no
answer in itself: what it says is read again from the registry.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlflow import MlflowClient

from perennial.errors import BadInput
from tasks.registry import APPROVED, MODEL, REJECTED, REVIEWER

SIGNATURE, SENT_AT, DELIVERY = "x-mlflow-signature", "x-mlflow-timestamp", "x-mlflow-delivery-id"
NAME = "perennial-review"
EVENTS = ("model_version_tag.set", "model_version_alias.created")
FRESH_SECONDS = 300.0
_ANSWERS = {APPROVED, REJECTED, REVIEWER}


@dataclass(frozen=True)
class Hook:
    """One delivery that our secret signed. A repeated `delivery` is the same one, sent again."""

    delivery: str
    event: str  # such as model_version_tag.set
    data: Mapping[str, Any]

    @property
    def is_about_a_review(self) -> bool:
        """Whether somebody answered for one of our candidates, or gave a name to an answer."""
        said = self.data.get("key") or self.data.get("alias")
        return self.event in EVENTS and self.data.get("name") == MODEL and said in _ANSWERS


def verified(
    headers: Mapping[str, str],
    body: bytes,
    *,
    secret: bytes,
    now: datetime,
    fresh_seconds: float = FRESH_SECONDS,
) -> Hook | None:
    """The delivery; None where another signed it, or it is older or newer than `fresh_seconds`.

    The signature is `v1,` and base64 of HMAC-SHA256 of `delivery.timestamp.body` (Standard
    Webhooks), compared in constant time. A body that is signed and still no event is None too.
    """
    if not secret:
        raise BadInput("a webhook without a secret can be anybody's; set one")
    named = {name.lower(): value for name, value in headers.items()}
    delivery, sent = named.get(DELIVERY, ""), named.get(SENT_AT, "")
    signed = f"{delivery}.{sent}.".encode(errors="replace") + body
    mac = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
    ours, theirs = b"v1," + mac, named.get(SIGNATURE, "").encode(errors="replace")
    if not delivery or not hmac.compare_digest(ours, theirs):
        return None
    if not sent.isascii() or not sent.isdigit() or len(sent) > 12:
        return None
    if abs(now.timestamp() - int(sent)) > fresh_seconds:
        return None
    try:
        value = json.loads(body)
        return Hook(delivery, f"{value['entity']}.{value['action']}", dict(value["data"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def subscribe(client: MlflowClient, *, url: str, secret: bytes) -> str:
    """The id of our webhook at this server, made or pointed to `url` with this secret."""
    for webhook in client.list_webhooks():
        if webhook.name == NAME:
            client.update_webhook(
                webhook.webhook_id, url=url, secret=secret.decode(), events=list(EVENTS)
            )
            return str(webhook.webhook_id)
    made = client.create_webhook(NAME, url, list(EVENTS), secret=secret.decode())
    return str(made.webhook_id)
