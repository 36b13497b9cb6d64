"""A small company, a real Prefect server, and the retrain as a process of its own."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from small import SMALL

from perennial.data.schema import TABLES
from perennial.data.tables import read_table
from perennial.params.reading import load_params
from perennial.release.stores.local import LocalStore
from perennial.verbs.bootstrap import bootstrap
from tasks.telemetry import OFF

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Company:
    """A home with a source and a first champion, and how its retrain is started."""

    home: Path
    params: Path
    champion: str
    environment: Mapping[str, str]

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.home / "store")

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    def stable(self) -> str:
        channel = self.store.read_channel("production")
        assert channel is not None
        return channel.stable

    def log_a_request(self) -> None:
        """The newest request comes again, a minute later."""
        folder = self.home / "source" / "requests"
        rows = pq.read_table(folder).sort_by([("ts", "descending")])
        (last,) = rows.slice(0, 1).to_pylist()
        number = len(list(folder.iterdir()))
        path = folder / f"part-{number:04d}.parquet"
        again = {**last, "request_id": f"req-{number}", "ts": last["ts"] + timedelta(minutes=1)}
        pq.write_table(pa.Table.from_pylist([again], schema=TABLES["requests"]), path)

    def export_twice(self) -> None:
        """Another log, since the same has the reference it had; and a document that is there
        twice."""
        log = self.home / "source" / "requests" / "part-0000.parquet"
        pq.write_table(pq.read_table(log).slice(1), log)
        path = self.home / "source" / "catalogue.parquet"
        rows = pq.read_table(path)
        pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), path)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`python -m flows.retrain`, running."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows.retrain", "--params", str(self.params), *arguments],
            cwd=CHECKOUT,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def retrain(self, *arguments: str) -> tuple[int, str]:
        """Its exit code, and all that it said."""
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=500)
        return process.returncode, said

    def find(self, name: str) -> list[Path]:
        """The files of this name below any workspace."""
        return list(self.home.glob(f"runs/*/{name}"))

    def workspaces(self) -> list[Path]:
        return sorted(path for path in (self.home / "runs").iterdir() if path.is_dir())


@pytest.fixture
def make_company(
    make_world: Callable[..., Any], tmp_path: Path, prefect_server: Mapping[str, str]
) -> Callable[..., Company]:
    """The factory: sections to overwrite in params.yaml, and a chance to break the world."""

    def make(
        *overrides: Mapping[str, Mapping[str, Any]],
        spoil: Callable[[Any], None] = lambda world: None,
    ) -> Company:
        home = tmp_path / "home"
        home.mkdir()
        world = make_world(documents=150, queries=100, requests=600)
        spoil(world)
        world.write_source(home / "source")
        sections = yaml.safe_load((CHECKOUT / "params.yaml").read_text())
        for change in (SMALL, *overrides):
            for section, values in change.items():
                sections[section].update(values)
        params = home / "params.yaml"
        params.write_text(yaml.safe_dump(sections))
        first = bootstrap(
            catalogue=read_table(home / "source" / "catalogue.parquet"),
            params=load_params(params),
            store=LocalStore(home / "store"),
            channel="production",
            encoder=None,
            now=datetime.now(UTC),
            who="a test",
            key=None,
        )
        environment = {**prefect_server, "PERENNIAL_HOME": str(home)}
        return Company(home, params, first.release_id, environment)

    return make


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment in which a real server on loopback answers; it ends with the session."""
    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PERENNIAL_"))}
    environment = {
        **kept,
        **OFF,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_UI_ENABLED": "false",
        "PYTHONPATH": str(CHECKOUT),
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", *command], env=environment, stdout=log, stderr=log
        )
        try:
            wait_for(
                lambda: healthy(port), quiet_seconds=120, what=f"the server; see {home}/server.log"
            )
            yield environment
        finally:
            server.terminate()
            server.wait(30)


def python(environment: Mapping[str, str], *arguments: str) -> str:
    """What this interpreter prints, in the checkout, where it ends well."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(environment: Mapping[str, str], path: str, body: Any = None, *, method: str = "") -> Any:
    """What Prefect's server answers; while its scheduler holds the database it is asked again, as
    Prefect's own client does: nothing was done."""
    request = urllib.request.Request(
        environment["PREFECT_API_URL"] + path,
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method or ("GET" if body is None else "POST"),
    )
    for _ in range(60):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(1)
    raise AssertionError(f"{path} stays unavailable")


def wait_for(condition: Callable[[], bool], *, quiet_seconds: float, what: str) -> None:
    """Returns when the condition holds; fails the test where it does not in four times the seconds
    that a quiet machine may need, or in those that a test has."""
    patience = min(4 * quiet_seconds, 500)
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {patience:g} s for {what}")
        time.sleep(0.1)
