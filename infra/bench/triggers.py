"""`make bench-triggers`: what starts a run from outside, and what Prefect adds to a run.

10,000 deliveries over HTTP to the receiver with a starter that only records; 500 with a real server
of Prefect behind it, on which the runs are counted; and eight stages as a flow beside plain calls.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from infra.bench.deliveries import FRESH_SECONDS, SECRETS, Delivery, deliveries
from infra.bench.row import Row, row, show

_REPEATS = 3


class Recorder:
    """A starter that starts nothing."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []

    def busy(self, deployment: str) -> tuple[int, int]:
        """Never."""
        return 0, 0

    def start(self, deployment: str, trigger: Mapping[str, Any], key: str) -> str:
        """A number."""
        self.runs.append((deployment, key))
        return str(len(self.runs))


def main() -> int:
    """Measure, print the table and write bench/triggers.json."""
    out, began = Path("bench"), time.monotonic()
    home = (out / "triggers-home").absolute()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.environ["PERENNIAL_HOME"] = str(home)
    os.environ["PREFECT_HOME"] = str(home / "prefect")  # the imports above have set it already
    os.environ.pop("PREFECT_API_URL", None)
    from tasks.server import prefect_server

    logging.getLogger("tasks.receiving").setLevel(logging.ERROR)  # 9,000 refusals

    with prefect_server(home / "prefect.log") as wait_for_server:
        wait_for_server()
        overhead = _overhead()  # first: after the 10,000 deliveries a process takes twice as long
        rows = [*_recorded(home), *overhead, *_started(home)]
    (out / "triggers.json").write_text(json.dumps(rows, indent=1) + "\n")
    show(rows, title=f"make bench-triggers, {time.monotonic() - began:.0f} s")
    shutil.rmtree(home)
    return 0 if all(each["holds"] is not False for each in rows) else 1


def _recorded(home: Path) -> list[Row]:
    recorder = Recorder()
    counts, seconds, wrong = _deliver(home / "recorded.db", recorder, allowed=1_000, bad=9_000)
    rows = [
        row("deliveries, of which 1,000 may start a run", 10_000, "deliveries"),
        row("runs started", len(recorder.runs), "runs", at_least=1_000, at_most=1_000),
        row("of them twice, or by what may not", wrong, "runs", at_most=0),
        row("deliveries a second, one after another", 10_000 / seconds, "1/s"),
    ]
    told = sorted(counts.items())
    return rows + [row(f"answered {status} {what}", n, "deliveries") for (status, what), n in told]


def _started(home: Path) -> list[Row]:
    """With the real starter: each run ends as soon as it was asked for, as if it were quick."""
    from prefect.client.orchestration import get_client
    from prefect.states import Completed

    from tasks.receiving.deployments import PrefectStarter

    class Quick(PrefectStarter):
        def start(self, deployment: str, trigger: Mapping[str, Any], key: str) -> str:
            run = super().start(deployment, trigger, key)
            client.set_flow_run_state(run, Completed(), force=True)  # type: ignore[arg-type]
            return run

    with get_client(sync_client=True) as client:
        for name in ("retrain", "reindex"):
            flow_id = client.create_flow_from_name(name)
            client.create_deployment(flow_id, name)
        _, seconds, wrong = _deliver(home / "started.db", Quick(), allowed=50, bad=450)
        runs = client.read_flow_runs(limit=200)
    triggered = [each for each in runs if "triggered" in each.tags]
    told = {each.parameters["trigger"]["key"] for each in triggered}
    return [
        row("Prefect behind it: 500 deliveries, 50 may", seconds, "s"),
        row("runs on the server", len(triggered), "runs", at_least=50, at_most=50),
        row("of them with a trigger of their own", len(told), "runs", at_least=50, at_most=50),
        row("by what may not", wrong, "runs", at_most=0),
    ]


def _deliver(
    ledger_file: Path, starter: Any, *, allowed: int, bad: int
) -> tuple[Counter[tuple[int, str]], float, int]:
    """Answers by status and outcome, seconds, and how many were answered as they should not be."""
    from perennial.serving.http.hosts import Hosts
    from perennial.serving.http.server import listen
    from tasks.receiving.app import create_app
    from tasks.receiving.decide import Receiver, Rule
    from tasks.receiving.ledger import Ledger
    from tasks.receiving.secrets import Secrets

    clock, addresses, up = [time.time()], list[str](), threading.Event()
    ledger = Ledger(ledger_file, remember_seconds=3600)
    given = ",".join(f"{source}={secret}" for source, secret in SECRETS.items())
    receiver = Receiver(
        secrets=Secrets(given, None),
        ledger=ledger,
        starter=starter,
        rules={name: Rule(1, 0.0) for name in ("retrain", "reindex")},
        fresh_seconds=FRESH_SECONDS,
        min_observations=200,
        now=lambda: clock[0],
    )
    app = create_app(receiver, hosts=Hosts("127.0.0.1"), max_body_bytes=65_536)

    def say(address: str) -> None:
        addresses.append(address)
        up.set()

    serve = partial(listen, app, host="127.0.0.1", port=0, max_connections=10, say=say)
    threading.Thread(
        target=partial(serve, unready_seconds=0.0, drain_seconds=1.0), daemon=True
    ).start()
    up.wait(30)
    connection = HTTPConnection(addresses[0].removeprefix("http://"), timeout=60)
    counts, wrong, began = Counter[tuple[int, str]](), 0, time.monotonic()
    for each in deliveries(allowed=allowed, bad=bad, seed=7, begin=clock[0]):
        clock[0] = each.at
        status, outcome = _post(connection, each)
        counts[status, outcome] += 1
        wrong += (status == 202) != (each.kind == "allowed")
    return counts, time.monotonic() - began, wrong


def _post(connection: HTTPConnection, each: Delivery) -> tuple[int, str]:
    connection.request("POST", f"/triggers/{each.deployment}", each.body, each.headers)
    answer = connection.getresponse()
    return answer.status, str(json.load(answer)["outcome"])


def _overhead() -> list[Row]:
    """Whole processes, from their start to their end: with Prefect's own import."""
    seconds = {how: median(_seconds_of(how) for _ in range(_REPEATS)) for how in ("plain", "flow")}
    flow, plain = seconds["flow"], seconds["plain"]
    return [
        row("eight stages as plain calls, a process", plain, "s"),
        row("eight stages as a flow, a process", flow, "s", against="plain", base=plain),
        row("Prefect's overhead", flow - plain, "s", at_most=5.0),
    ]


def _seconds_of(how: str) -> float:
    began = time.monotonic()
    command = [sys.executable, "-m", "infra.bench.eight", how]
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
