"""The registry as a real MLflow server that asks for names: who approves wakes who waits, and is
who logged in."""

import base64
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from perennial.errors import Refused
from perennial.report.review_view import approval_of
from tasks.approval import answers_strangers, approved_by
from tasks.bell import bell_of, heard, wait_for_ring
from tasks.receiving.review import ring_for_reviews
from tasks.receiving.signatures import believed
from tasks.registry import MODEL, register_version, tag_version
from tasks.telemetry import OFF
from tasks.tracking import start_run, tracker
from tasks.webhook import subscribe, verified

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parents[2]
SECRET = b"only the registry and we know"
RELEASE, GATE = "rel-a00000000007", "sha256:" + "ab" * 32
PASSWORD = "a long word of ours"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server of its own that asks for names and may send hooks to this machine."""
    home, port = tmp_path_factory.mktemp("mlflow"), free_port()
    (home / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = root\n"
        f"database_uri = sqlite:///{home / 'users.db'}\n"
        "authorization_function = tasks.reviewers:signed_in\n"
        "auth_cache_ttl_seconds = 600\n"  # each request would hash the password several times
    )
    environment = {
        **os.environ,
        **OFF,
        "PYTHONPATH": str(CHECKOUT),
        "MLFLOW_AUTH_CONFIG_PATH": str(home / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "PERENNIAL_FLOW_LOGIN": "flow",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "for its forms",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "0",  # that there was no webhook a moment ago
    }
    options = ["--app-name", "basic-auth", "--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"]
    options += ["--host", "127.0.0.1", "--port", str(port)]
    options += ["--workers", "1", "--artifacts-destination", str(home / "artifacts")]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            uri = f"http://127.0.0.1:{port}"
            wait_until_healthy(uri, home / "server.log")
            yield uri
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)


@pytest.fixture
def be(server: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], MlflowClient]:
    """`be(name)`: whoever asks from now on is that one."""

    def be(name: str) -> MlflowClient:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        return tracker(server)

    return be


def post(server: str, path: str, **values: str) -> None:
    answer = http_request(get_default_host_creds(server), f"/api/{path}", "POST", json=values)
    assert answer.ok, answer.text


def test_an_approval_on_a_server_that_asks_for_names_is_of_who_logged_in(server, be, tmp_path):
    assert not answers_strangers(server)
    be("root")
    for name in ("flow", "ada", "bob"):
        post(server, "2.0/mlflow/users/create", username=name, password=PASSWORD)
    client = be("flow")
    run = start_run(server, home=tmp_path, note=tmp_path / "run.json", name="a run", tags={})
    about = {"run_id": run, "release_id": RELEASE, "page": "#"}
    version = register_version(client, **about, tags={"gate": GATE})
    with pytest.raises(MlflowException, match="Permission denied"):
        tag_version(be("ada"), version, {"reviewer": "ada"})
    be("root")
    for name in ("ada", "bob"):
        may = {"resource_type": "registered_model", "resource_id": MODEL, "permission": "EDIT"}
        post(server, "3.0/mlflow/users/permissions/grant", username=name, **may)
    word = approval_of(RELEASE, GATE)
    ada = be("ada")
    with pytest.raises(MlflowException, match="is the name of who sets it: ada"):
        tag_version(ada, version, {"reviewer": "bob"})
    tag_version(ada, version, {"reviewer": "ada", "approved": word})
    with pytest.raises(MlflowException, match="ada answered already"):
        tag_version(be("bob"), version, {"reviewer": "bob"})
    with pytest.raises(MlflowException, match="set the tag reviewer to bob first"):
        tag_version(be("bob"), version, {"rejected": "I am not ada"})
    with pytest.raises(MlflowException, match="ada answers for this version"):
        be("bob").delete_model_version_tag(MODEL, version, "approved")
    with pytest.raises(MlflowException, match="only the flow changes it"):
        tag_version(be("bob"), version, {"release_id": "rel-b00000000008"})
    be("ada").set_registered_model_alias(MODEL, "approved", version)
    with pytest.raises(MlflowException, match="ada answers for this version"):
        be("bob").delete_registered_model_alias(MODEL, "approved")
    assert be("bob").get_model_version_by_alias(MODEL, "approved").tags["release_id"] == RELEASE
    flow = be("flow")
    assert approved_by(server, release_id=RELEASE, lineage="") == "ada"
    other = "sha256:" + "cd" * 32
    assert register_version(flow, **about, tags={"gate": other}) == version
    assert "approved" not in flow.get_registered_model(MODEL).aliases
    with pytest.raises(Refused, match="nobody approved"):
        approved_by(server, release_id=RELEASE, lineage="")
    tag_version(be("bob"), version, {"reviewer": "bob", "approved": approval_of(RELEASE, other)})
    be("flow")
    assert approved_by(server, release_id=RELEASE, lineage="") == "bob"


def test_a_real_server_wakes_who_waits_for_an_answer(server, be, tmp_path):
    bell, hooks = bell_of(tmp_path, "review"), queue.Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            now = datetime.now(UTC)
            hook = verified(dict(self.headers), body, secret=SECRET, now=now)
            forged = verified(dict(self.headers), body, secret=b"another", now=now)
            self.send_response(202 if hook else 401)
            self.end_headers()
            headers = {name.lower(): value for name, value in self.headers.items()}
            at = {"now": now.timestamp(), "fresh_seconds": 300.0}
            assert believed(headers, body, pairs=(("mlflow", SECRET),), **at).source == "mlflow"
            ring_for_reviews(tmp_path, body)  # as our receiver does
            hooks.put((hook, forged))

        def log_message(self, *_) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            client = be("root")
            url = f"http://127.0.0.1:{listener.server_port}/mlflow"
            first = subscribe(client, url="http://127.0.0.1:1/old", secret=b"old")
            assert subscribe(client, url=url, secret=SECRET) == first, "one webhook, pointed anew"
            run = client.create_run("0").info.run_id
            about = {"run_id": run, "release_id": "rel-a00000000008", "tags": {}, "page": "#"}
            version = register_version(client, **about)
            before = heard(bell)
            tag_version(client, version, {"note": "nothing to us", "reviewer": "root"})
            tag_version(client, version, {"approved": "rel-0@ab"})
            assert wait_for_ring(bell, before, seconds=30)
            client.set_registered_model_alias(MODEL, "approved", version)
            found = [hooks.get(timeout=30) for _ in range(5)]
        finally:
            listener.shutdown()
            thread.join()
    assert all(forged is None for _, forged in found)
    said = {(hook.event, hook.data.get("key") or hook.data["alias"]) for hook, _ in found}
    assert said == {
        ("model_version_tag.set", "note"),
        ("model_version_tag.set", "reviewer"),
        ("model_version_tag.set", "approved"),
        ("model_version_alias.created", "candidate"),
        ("model_version_alias.created", "approved"),
    }


def wait_until_healthy(uri: str, log: Path) -> None:
    deadline = time.monotonic() + 300
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
