"""Over HTTP: bodies are bounded, refusals are sentences, and nothing from inside leaves."""

import json
import time

import pytest
from fastapi.testclient import TestClient

from infra.bench.deliveries import SECRETS, signed
from perennial.serving.http.hosts import Hosts
from tasks.receiving.app import create_app
from tasks.receiving.decide import Receiver, Rule, StarterAway
from tasks.receiving.ledger import Ledger
from tasks.receiving.secrets import Secrets

SAID = json.dumps({"reason": "drift", "evidence": [{"name": "psi"}]}).encode()


class Broken:
    """A starter whose every answer is the error that it was given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def busy(self, deployment):
        raise self.error

    def start(self, deployment, trigger, key):
        raise self.error


@pytest.fixture
def make(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db", remember_seconds=3600)
    path = tmp_path / "secrets"
    path.write_text("\n".join(f"{name}={secret}" for name, secret in SECRETS.items()))
    heard: list[bytes] = []

    def client(error: Exception) -> TestClient:
        receiver = Receiver(
            secrets=Secrets("", path),
            ledger=ledger,
            starter=Broken(error),
            rules={"retrain": Rule(1, 0.0)},
            fresh_seconds=300,
            min_observations=1,
            now=time.time,
        )
        app = create_app(
            receiver,
            hosts=Hosts("127.0.0.1"),
            max_body_bytes=1_000,
            heard=lambda source, body: heard.append(body),
        )
        return TestClient(app, base_url="http://127.0.0.1")

    client.heard, client.path = heard, path  # type: ignore[attr-defined]
    yield client
    ledger.close()


def post(client, body=SAID, source="evidently", **headers):
    proof = signed(source, body, delivery="d", at=time.time(), secret=SECRETS[source])
    return client.post("/triggers/retrain", content=body, headers=proof | headers)


def test_what_breaks_inside_stays_inside(make, caplog):
    answer = post(make(ValueError("a secret of the inside")))
    assert answer.status_code == 500 and "secret" not in answer.text
    answer = post(make(StarterAway("Prefect does not answer; send it again later")))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.json()["why"].startswith("Prefect")
    assert not any(secret in caplog.text for secret in SECRETS.values())


def test_bodies_names_and_missing_secrets_are_refused_before_anything_is_read(make):
    client = make(ValueError())
    assert post(client, b" " * 1_001).status_code == 413
    assert post(client, host="attacker.example").status_code == 421
    assert client.post("/triggers/retrain", content=SAID).status_code == 401
    make.path.write_text("broken")
    assert post(client).json()["outcome"] == "no_secrets"
    assert client.get("/readyz").status_code == 503
    counts = client.get("/metrics").text
    assert 'outcome="refused_413"' in counts and 'outcome="not_believed"' in counts


def test_only_the_registry_is_heard_about_reviews(make):
    client = make(StarterAway("away"))
    body = b'{"entity": "model_version_tag", "action": "set", "data": {"name": "n"}}'
    post(client, body, "mlflow")
    post(client, body, "evidently")
    client.post("/triggers/retrain", content=body, headers={"x-mlflow-signature": "v1,no"})
    assert make.heard == [body]
