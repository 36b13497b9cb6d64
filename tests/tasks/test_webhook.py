"""Webhooks: a real MLflow server's are believed, and nobody else's, nor an old one again."""

import base64
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from perennial.errors import BadInput
from tasks.bell import bell_of, heard, ring, wait_for_ring
from tasks.registry import MODEL, tag_version
from tasks.telemetry import OFF
from tasks.webhook import DELIVERY, SENT_AT, SIGNATURE, subscribe, verified

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


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """A tracking server of its own that may send hooks to this machine."""
    port = free_port()
    environment = {
        **os.environ,
        **OFF,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    }
    place = f"sqlite:///{tmp_path / 'mlflow.db'}"
    options = ["--backend-store-uri", place, "--host", "127.0.0.1", "--port", str(port)]
    options += ["--workers", "1", "--artifacts-destination", str(tmp_path / "artifacts")]
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            uri = f"http://127.0.0.1:{port}"
            wait_until_healthy(uri, tmp_path / "server.log")
            yield uri
        finally:
            os.killpg(server.pid, 15)
            server.wait(30)


@pytest.mark.slow
def test_a_real_server_wakes_who_waits_for_an_answer(mlflow_server: str, tmp_path: Path):
    bell, hooks = bell_of(tmp_path, "review"), queue.Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            now = datetime.now(UTC)
            hook = verified(dict(self.headers), body, secret=SECRET, now=now)
            forged = verified(dict(self.headers), body, secret=b"another", now=now)
            self.send_response(202 if hook else 401)
            self.end_headers()
            if hook and hook.is_about_a_review:
                ring(bell)
            hooks.put((hook, forged))

        def log_message(self, *_) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            client = MlflowClient(mlflow_server)
            url = f"http://127.0.0.1:{listener.server_port}/mlflow"
            first = subscribe(client, url="http://127.0.0.1:1/old", secret=b"old")
            assert subscribe(client, url=url, secret=SECRET) == first, "one webhook, pointed anew"
            client.create_registered_model(MODEL)
            run = client.create_run("0").info.run_id
            made = client.create_model_version(MODEL, f"runs:/{run}/encoder", run)
            before = heard(bell)
            tag_version(client, made.version, {"note": "nothing to us"})
            tag_version(client, made.version, {"approved": "rel-0@ab"})
            assert wait_for_ring(bell, before, seconds=30)
            client.set_registered_model_alias(MODEL, "approved", made.version)
            found = [hooks.get(timeout=30) for _ in range(3)]
        finally:
            listener.shutdown()
            thread.join()
    assert all(forged is None for _, forged in found)
    said = {(hook.event, hook.data.get("key") or hook.data["alias"]) for hook, _ in found}
    assert said == {
        ("model_version_tag.set", "note"),
        ("model_version_tag.set", "approved"),
        ("model_version_alias.created", "approved"),
    }


def wait_until_healthy(uri: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start; {log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
