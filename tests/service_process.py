"""`perennial serve` as a process, and people who ask it until it ends."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
_CLIENTS = 4


@dataclass
class Asked:
    """What people were told: request ids with the time of their answer, and what failed when."""

    answered: list[tuple[str, float]] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    failed: list[tuple[str, float]] = field(default_factory=list)


@contextmanager
def service(
    home: Path, *options: str, cwd: Path = ROOT, **environment: str
) -> Iterator[tuple[subprocess.Popen, int]]:
    """The process and its port, once it answers; killed at the end if it still runs.

    `cwd` is the folder whose params.yaml it reads.
    """
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "perennial.cli",
        "serve",
        "--port",
        "0",
        *options,
    ]
    places = {"PERENNIAL_HOME": str(home), "PERENNIAL_EVENTS_KEY": "the key of the events"}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | places | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = process.stdout.readline()
        assert "answers at http://" in said, process.stderr.read()
        yield process, int(said.rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@contextmanager
def people(port: int, words: int = 40) -> Iterator[Asked]:
    """Some clients that ask one query after the other, each on a connection that it keeps."""
    asked, stop = Asked(), threading.Event()

    def ask(client: int) -> None:
        connection, number = http.client.HTTPConnection("127.0.0.1", port, timeout=10), client
        while not stop.is_set():
            number = (number + 7) % words
            body = json.dumps({"query": f"word{number}", "k": 3, "session_id": f"s{client}"})
            try:
                connection.request("POST", "/search", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                value = json.loads(answer.read())
                assert answer.status == 200, value
                (result,) = value["results"]
                # The first place may have been swapped with the second, to explore.
                found = [hit["doc_id"].rpartition("-")[2] for hit in result["hits"][:2]]
                assert str(number) in found, result
                asked.answered.append((result["request_id"], time.monotonic()))
                asked.releases.append(result["release_id"])
            except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
                asked.failed.append((repr(error), time.monotonic()))
                connection.close()
                time.sleep(0.01)
        connection.close()

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def terminate(process: subprocess.Popen) -> float:
    """SIGTERM, and wait until it has ended well: when the signal was sent."""
    at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, process.stderr.read()
    return at
