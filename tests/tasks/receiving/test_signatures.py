"""A delivery is believed from whoever has the secret, for a while, and from nobody else."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.bench.deliveries import SECRETS, signed
from perennial.errors import BadInput
from tasks.receiving.secrets import Secrets
from tasks.receiving.signatures import NotBelieved, believed

NOON, BODY = 1_795_262_400.0, b'{"reason": "drift"}'
PAIRS = Secrets(",".join(f"{name}={secret}" for name, secret in SECRETS.items()), None).pairs()
SIGNING = [source for source in SECRETS if source != "alertmanager"]


def believe(headers, body=BODY, *, now=NOON, pairs=PAIRS):
    return believed(headers, body, pairs=pairs, now=now, fresh_seconds=300)


def of(source, body=BODY, *, at=NOON, secret=None):
    return signed(source, body, delivery="d", at=at, secret=secret or SECRETS[source])


@pytest.mark.parametrize("source", SECRETS)
def test_each_source_is_known_by_its_secret(source):
    assert believe(of(source)).source == source


@pytest.mark.parametrize("source", SIGNING)
def test_another_body_another_time_and_a_header_less_void_it(source):
    for late in (-301, 301):
        with pytest.raises(NotBelieved, match="301 s"):
            believe(of(source), now=NOON + late)
    with pytest.raises(NotBelieved, match="no secret"):
        believe(of(source), BODY + b" ")
    for name in of(source):
        headers = {each: value for each, value in of(source).items() if each != name}
        with pytest.raises(NotBelieved):
            believe(headers)


def test_grafana_is_told_to_sign_a_time():
    headers = {"x-grafana-alerting-signature": of("grafana")["x-grafana-alerting-signature"]}
    with pytest.raises(NotBelieved, match="Timestamp Header"):
        believe(headers)


def test_what_mlflow_signed_is_believed():
    """As MLflow 3.17 signed the body of tests/tasks/test_webhook.py."""
    data = {"name": "perennial-encoder", "version": "3", "key": "approved", "value": "rel-0@ab"}
    body = {"entity": "model_version_tag", "action": "set"}
    body |= {"timestamp": "2026-11-21T12:00:00+00:00", "data": data}
    sent = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp())
    headers = {
        "x-mlflow-delivery-id": "0b9a7a5e",
        "x-mlflow-timestamp": str(sent),
        "x-mlflow-signature": "v1,rsgpp6c67mkdkCMQWSzluBGG4fJu8gT9NJ6S0kY1wfM=",
    }
    pairs = (("mlflow", b"only the registry and we know"),)
    assert believe(headers, json.dumps(body).encode(), now=sent, pairs=pairs).source == "mlflow"


def test_a_standard_webhook_s_example_is_believed():
    """The example of the Standard Webhooks' reference libraries: secret, id, time and signature."""
    pairs = Secrets("theirs=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None).pairs()
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,bad v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert believe(headers, b'{"test": 2432232314}', now=1614265330, pairs=pairs).delivery


@settings(max_examples=40)
@given(
    headers=st.dictionaries(
        st.sampled_from([*of("mlflow"), *of("grafana"), *of("evidently"), "authorization"]),
        st.text() | st.just(str(int(NOON))) | st.text().map("Bearer {}".format),
    ),
    body=st.binary(),
)
def test_a_stranger_is_never_believed(headers, body):
    with pytest.raises(NotBelieved):
        believe(headers, body)


def test_secrets_change_while_it_runs_and_several_hold_at_once(tmp_path: Path):
    path = tmp_path / "secrets"
    old, new = f"grafana={'o' * 20}", f"grafana={'n' * 20}"
    path.write_text(f"# both\n{old}\n{new}\n")
    secrets = Secrets("", path)
    for secret in ("o" * 20, "n" * 20):
        assert believe(of("grafana", secret=secret), pairs=secrets.pairs()).source == "grafana"
    path.write_text(new + "\n")
    with pytest.raises(NotBelieved):
        believe(of("grafana", secret="o" * 20), pairs=secrets.pairs())
    path.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        secrets.pairs()


@pytest.mark.parametrize(
    "entry", ["hidden-hidden-hidden", "grafana=hidden", "A=hidden", "a=whsec_hidden-hidden-h"]
)
def test_a_broken_secret_is_refused_without_its_words(entry):
    with pytest.raises(BadInput) as refused:
        Secrets(entry, None)
    assert "hidden" not in str(refused.value)
    with pytest.raises(BadInput, match="nothing could sign"):
        Secrets("", None)
