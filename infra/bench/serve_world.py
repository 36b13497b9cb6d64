"""The world of the service benchmark: a release of known words, the service, and its clients."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from perennial.data.sources.days import part_files

ROOT = Path(__file__).parents[2]
CONNECTIONS = 16


class Service:
    """A running `perennial serve` and its clients; calling it tells the clients what to do."""

    def __init__(self, process: "subprocess.Popen[str]", clients: "subprocess.Popen[str]") -> None:
        self.process, self._clients = process, clients

    def __call__(self, **command: Any) -> Any:
        self.send(**command)
        return self.receive()

    def send(self, **command: Any) -> None:
        """Tell the clients what to do, and go on while they do that."""
        assert self._clients.stdin is not None
        self._clients.stdin.write(json.dumps(command) + "\n")
        self._clients.stdin.flush()

    def receive(self) -> Any:
        """What came of it."""
        assert self._clients.stdout is not None
        line = self._clients.stdout.readline()
        assert line, "the clients ended; their error is above"
        return json.loads(line)

    def seconds(self) -> tuple[float, float]:
        """Processor seconds so far: the service's, and its clients'."""
        service, clients = (_seconds_of(each.pid) for each in (self.process, self._clients))
        return service, clients

    def memory(self) -> float:
        """Resident bytes of the service."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return 1024.0 * int(line.split()[1])
        raise AssertionError("the service has ended")


def _seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")  # of user and system


@contextmanager
def running(home: Path, *, documents: int, **changes: Any) -> Iterator[Service]:
    """The service of `home`'s store with `changes` to the section serve; ends it by SIGTERM."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["serve"] |= {"rate_per_second": 1e6, "rate_burst": 10**6} | changes
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    places = {"PERENNIAL_HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment = os.environ | places | {"PERENNIAL_EVENTS_KEY": "of the benchmark"}
    command = [sys.executable, "-m", "perennial.cli", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert "answers at" in said, "the service did not start; its error is above"
    port = said.strip().rpartition(":")[2]
    asks = [sys.executable, "-m", "infra.bench.serve_clients"]
    clients = subprocess.Popen(
        [*asks, port, str(CONNECTIONS), str(documents)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Service(process, clients)
    finally:
        assert clients.stdin is not None
        clients.stdin.close()
        clients.wait()
        process.terminate()
        code = process.wait(60)
    assert code == 0, f"the service ended with {code}"


def logged(home: Path) -> int:
    """Requests in the log, each counted once; raises where one stands there twice."""
    ids = [
        name
        for path in part_files(home / "source" / "requests")
        for name in pq.read_table(path, columns=["request_id"], partitioning=None)[0].to_pylist()
    ]
    assert len(ids) == len(set(ids)), "a request stands in the log twice"
    return len(ids)
