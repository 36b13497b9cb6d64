"""`make up` as a process, what a person can ask of it, and what a bad night does to it."""

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from infra.up.ports import Ports
from perennial.errors import Refused
from tasks.receiving.signatures import standard_mac

CHECKOUT = Path(__file__).parents[2]
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_START_SECONDS = 400.0
_STOP_SECONDS = 120.0


class Town:
    """All of it in one folder: the processes of `make up`, and their addresses."""

    def __init__(self, folder: Path, *, shift: int) -> None:
        self.home, self.ports, self._shift = folder / "up", Ports.shifted(shift), shift
        self.said: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self, *, say: Callable[[str], None] = lambda line: None) -> None:
        """Returns when all of it runs; raises Refused with its own words."""

        def listen(process: subprocess.Popen[str]) -> None:
            assert process.stdout is not None
            for line in process.stdout:
                self.said.append(line.rstrip())
                say(line.rstrip())

        self._process = subprocess.Popen(
            [sys.executable, "-m", "infra.up"],
            cwd=CHECKOUT,
            env=_others()
            | {"PERENNIAL_HOME": str(self.home.parent), "PERENNIAL_PORTS": str(self._shift)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=listen, args=(self._process,))
        self._reader.start()
        wait_until(
            lambda: "all of it runs; Ctrl-C ends it" in self.said or not self.runs(),
            seconds=_START_SECONDS,
            what="all of it to run",
        )
        if not self.runs():
            raise Refused("`make up` ended: " + " ".join(self.said[-2:]))

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """SIGTERM; what it ended with."""
        assert self._process is not None
        self._process.terminate()
        try:
            code = self._process.wait(_STOP_SECONDS)
        finally:
            self._process.kill()
            if self._reader is not None and self._process.stdout is not None:
                self._reader.join()
                self._process.stdout.close()
        return code

    @property
    def environment(self) -> dict[str, str]:
        """What a person gets by `. up/environment.sh`."""
        lines = (self.home / "environment.sh").read_text(encoding="utf-8").splitlines()
        given = (shlex.split(line.removeprefix("export "))[0].partition("=") for line in lines)
        return {**_others(), **{name: value for name, _, value in given}}

    def secret(self, name: str) -> str:
        return str(json.loads((self.home / "secrets.json").read_text("utf-8"))[name])

    def command(
        self, *arguments: str, cwd: Path = CHECKOUT, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """`python -m …` as a person starts it there; `more` of an environment."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=cwd,
            env={**self.environment, "PYTHONPATH": str(CHECKOUT), **more},
            capture_output=True,
            text=True,
            check=False,
        )

    def pid(self, name: str) -> int:
        """The process group of one of them."""
        return int((self.home / "log" / f"{name}.pid").read_text(encoding="utf-8"))

    def kill(self, name: str) -> None:
        """SIGKILL to it and all that it started in its group."""
        os.killpg(self.pid(name), signal.SIGKILL)

    def processes_of(self, name: str) -> list[int]:
        """Who lives of its group, beside the one that guards it."""
        group = self.pid(name)
        return [pid for pid, _ in _environments() if pid != group and _group_of(pid) == group]

    def kill_flow(self, run_id: str) -> None:
        """SIGKILL to the processes of a flow's run: the worker starts them in a session of their
        own."""
        for pid, names in _environments():
            if names.get(_RUN) == run_id:
                with contextlib.suppress(ProcessLookupError):  # it went with another one
                    os.kill(pid, signal.SIGKILL)

    def prefect(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """What the server's API answers; raises OSError while it is away or has no answer."""
        address = f"http://127.0.0.1:{self.ports.prefect}/api{path}"
        code, answer = ask(address, body, method=method)
        if code >= 400:
            raise OSError(f"{address}: {code}")
        return answer

    def deployment(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.prefect(f"/deployments/name/{name}/{name}")
        return found

    def runs_of(self, name: str) -> list[dict[str, Any]]:
        """A deployment's runs that no schedule made, the earliest first."""
        chosen = {"deployment_id": {"any_": [self.deployment(name)["id"]]}}
        body = {"flow_runs": chosen, "limit": 200, "sort": "EXPECTED_START_TIME_ASC"}
        found = self.prefect("/flow_runs/filter", body)
        return [run for run in found if not run["auto_scheduled"]]

    def begin(self, name: str, **parameters: Any) -> str:
        """A run of a deployment, by hand; its id."""
        path = f"/deployments/{self.deployment(name)['id']}/create_flow_run"
        return str(self.prefect(path, {"parameters": parameters})["id"])

    def state(self, run: str) -> str:
        """The type of a run's state."""
        return str(self.prefect(f"/flow_runs/{run}")["state"]["type"])

    def search(self, query: str, *, k: int = 10) -> Mapping[str, Any]:
        """One answer; raises OSError where there is none."""
        address = f"http://127.0.0.1:{self.ports.search}/search"
        code, answer = ask(address, {"query": query, "k": k})
        if code != 200:
            raise OSError(f"{code}: {answer}")
        found: Mapping[str, Any] = answer
        return found

    def follows(self) -> bool:
        """Whether the search service says that it follows its channel."""
        address = f"http://127.0.0.1:{self.ports.search}/metrics"
        with urllib.request.urlopen(address, timeout=30) as page:
            lines = page.read().decode().splitlines()
        return any(re.match(r"perennial_follows_channel\{.*\} 1(\.0)?$", line) for line in lines)

    def deliver(
        self, deployment: str, *, reason: str, key: str = "", secret: str | None = None
    ) -> tuple[int, Any]:
        """A signed delivery to the webhook receiver: the status, and what it said."""
        body = json.dumps({"reason": reason, "evidence": [_EVIDENCE]}).encode()
        name, sent = key or uuid4().hex, str(int(time.time()))
        mac = standard_mac(
            (secret or self.secret("webhook")).encode(), f"{name}.{sent}.".encode() + body
        )
        return ask(
            f"http://127.0.0.1:{self.ports.receiver}/triggers/{deployment}",
            body,
            headers={
                "webhook-id": name,
                "webhook-timestamp": sent,
                "webhook-signature": mac.decode(),
            },
        )


_RUN = "PREFECT__FLOW_RUN_ID"
_EVIDENCE = {"name": "recall", "value": 0.4, "n": 500, "holds": False}


def ask(
    address: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
) -> tuple[int, Any]:
    """The status, and the answer's JSON; raises OSError where nobody answers."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own address
        address, data, {"Content-Type": "application/json", **(headers or {})}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            code, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            code, text = error.code, error.read()
    except http.client.HTTPException as error:  # whoever was killed in the middle of a word
        raise OSError(f"{address}: {error}") from error
    try:
        return code, json.loads(text) if text else None
    except ValueError as error:
        raise OSError(f"{address}: {code}, and no JSON") from error


def _others() -> dict[str, str]:
    """The environment without what would lead to a person's own store, source, server or phone."""
    ours = ("PERENNIAL_", "PREFECT_", "MLFLOW_", "AWS_", "DVC_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> float:
    """Seconds until it held; who cannot answer yet is asked again. Raises Refused in the end."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if condition():
                return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise Refused(f"waited {seconds:g} s for {what}, in vain")
        time.sleep(0.1)


def _group_of(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return 0


def _environments() -> Iterator[tuple[int, dict[str, str]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                pairs = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                yield int(folder.name), dict(pair.split("=", 1) for pair in pairs if "=" in pair)
