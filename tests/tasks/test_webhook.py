"""Webhooks: MLflow's own are believed, and nobody else's, nor an old one again."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput
from tasks.registry import MODEL
from tasks.webhook import DELIVERY, SENT_AT, SIGNATURE, verified

SECRET = b"only the registry and we know"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
# As MLflow 3.17 signed it: HMAC-SHA256 of `delivery.timestamp.body`, in base64.
BODY = json.dumps(
    {
        "entity": "model_version_tag",
        "action": "set",
        "timestamp": "2026-11-21T12:00:00+00:00",
        "data": {"name": MODEL, "version": "3", "key": "approved", "value": "rel-0@ab"},
    }
).encode()
HEADERS = {
    "X-MLflow-Delivery-Id": "0b9a7a5e",
    "X-MLflow-Timestamp": str(int(NOW.timestamp())),
    "X-MLflow-Signature": "v1,rsgpp6c67mkdkCMQWSzluBGG4fJu8gT9NJ6S0kY1wfM=",
}


def test_a_fresh_delivery_that_our_secret_signed_is_read():
    hook = verified(HEADERS, BODY, secret=SECRET, now=NOW)
    assert hook is not None and hook.is_about_a_review
    assert (hook.delivery, hook.event, hook.data["version"]) == (
        "0b9a7a5e",
        "model_version_tag.set",
        "3",
    )


@pytest.mark.parametrize("name", [DELIVERY, SENT_AT, SIGNATURE])
def test_a_header_that_is_missing_or_another_voids_it(name):
    plain = {key.lower(): value for key, value in HEADERS.items()}
    assert verified(plain, BODY, secret=SECRET, now=NOW) is not None
    for value in ("", plain[name] + "0", "v1,", "ä"):
        assert verified({**plain, name: value}, BODY, secret=SECRET, now=NOW) is None
    del plain[name]
    assert verified(plain, BODY, secret=SECRET, now=NOW) is None


def test_another_body_or_another_secret_voids_it():
    assert verified(HEADERS, BODY + b" ", secret=SECRET, now=NOW) is None
    assert verified(HEADERS, BODY, secret=SECRET + b"!", now=NOW) is None


@pytest.mark.parametrize("late", [-301, 301])
def test_a_delivery_of_another_time_is_no_longer_believed(late):
    moment = NOW + timedelta(seconds=late)
    assert verified(HEADERS, BODY, secret=SECRET, now=moment) is None
    assert verified(HEADERS, BODY, secret=SECRET, now=moment, fresh_seconds=302) is not None


def test_no_secret_is_no_protection():
    with pytest.raises(BadInput, match="secret"):
        verified(HEADERS, BODY, secret=b"", now=NOW)


@given(headers=st.dictionaries(st.sampled_from(list(HEADERS)), st.text()), body=st.binary())
def test_nothing_that_a_stranger_sends_raises_or_is_believed(headers, body):
    assert verified(headers, body, secret=SECRET, now=NOW) is None


def test_a_tag_of_another_model_or_of_another_kind_is_no_answer():
    said = json.loads(BODY)
    for data in ({"name": "theirs"}, {"key": "note"}):
        body = json.dumps(said | {"data": said["data"] | data}).encode()
        hook = verified(signed(body), body, secret=SECRET, now=NOW)
        assert hook is not None and not hook.is_about_a_review


def signed(body: bytes) -> dict[str, str]:
    """The headers that MLflow's own code sends with the body."""
    from mlflow.webhooks.delivery import _generate_hmac_signature

    sent = str(int(NOW.timestamp()))
    signature = _generate_hmac_signature(SECRET.decode(), "d", sent, body.decode())
    return {**HEADERS, "X-MLflow-Delivery-Id": "d", "X-MLflow-Signature": signature}
