"""`make up`: the processes of the compose file, kept alive, and none left at the end."""

import fcntl
import json
import os
import re
import signal
import socket
import stat
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet

from flows.deploy import pools_of
from infra.up.__main__ import keys, when_to_stop
from infra.up.ports import Ports, refuse_taken
from infra.up.process import Process, run
from infra.up.processes import environment, processes
from perennial.errors import PlaceUnusable, Refused

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text(encoding="utf-8"))["services"]
# A laptop has nobody to wake.
MONITORING = {"prometheus", "alertmanager", "grafana"}
LIVES = (
    "import os, sys, time\n"
    "with open(sys.argv[1], 'a') as f: f.write(f'{os.getpid()}\\n')\n"
    "time.sleep(600)"
)
HOLDS = (
    "import fcntl, sys, time\n"
    "lock = open(sys.argv[1], 'a')\n"
    "fcntl.flock(lock, fcntl.LOCK_EX)\n"
    "print(flush=True)\n"
    "time.sleep(600)"
)
LEAVES = (
    "import subprocess as s, sys\n"
    "s.Popen([sys.executable, '-c', *sys.argv[1:]], stdout=s.PIPE).stdout.readline()"
)


def test_it_has_the_processes_of_the_compose_file_and_shows_no_secret(tmp_path):
    secrets = keys(tmp_path / "secrets.json")
    assert keys(tmp_path / "secrets.json") == secrets and len(set(secrets.values())) == 8
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    ours = processes(tmp_path, secrets, postgres=Path("/postgres"), ports=Ports())
    assert {process.name for process in ours} == COMPOSE.keys() - MONITORING
    for process in ours:  # everybody on the machine may read a command line
        assert not any(secret in " ".join(process.command) for secret in secrets.values())
    pools = {each.command[-1] for each in ours if each.name in ("worker", "trainer")}
    assert pools == {*pools_of(ROOT / "infra" / "prefect.yaml")}
    # What compose gives the pipeline, a laptop gives it as well; except whom to tell.
    given = {n for each in ("worker", "search", "receiver") for n in COMPOSE[each]["environment"]}
    unneeded = {"PERENNIAL_NOTIFY_URL", "PERENNIAL_ACCESS_KEYS", "PERENNIAL_CACHE"}
    assert given - unneeded <= environment(tmp_path, secrets, Ports()).keys()


def test_what_prefect_and_mlflow_cannot_find_out_they_are_told(tmp_path):
    secrets = keys(tmp_path / "secrets.json")
    ours = {
        each.name: each
        for each in processes(tmp_path, secrets, postgres=Path("/postgres"), ports=Ports())
    }
    hooks = COMPOSE["mlflow"]["environment"]
    for name in (name for name in hooks if name.startswith("MLFLOW_WEBHOOK_ALLOW")):
        assert ours["mlflow"].environment[name] == hooks[name]
    Fernet(ours["mlflow"].environment["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"])  # or it raises
    for each in ours.values():
        for port in re.findall(r"port[= ]([1-9]\d+)", " ".join(each.command)):
            assert int(port) in Ports().names()


def test_a_port_of_somebody_else_is_named_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        with pytest.raises(PlaceUnusable, match=f"port {port}, which Prefect needs, .*`ss -ltnp`"):
            refuse_taken({port: "Prefect"})
    refuse_taken({port: "Prefect"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_it_as_ctrl_c_does(number):
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        stopped = when_to_stop()
        assert not stopped.is_set()
        os.kill(os.getpid(), number)
        assert stopped.wait(10)
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


def pids(path):
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def wait_for(what):
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def is_free(lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.mark.slow
def test_what_dies_is_started_again_and_nothing_outlives_it(tmp_path):
    seen, said, stopped = tmp_path / "pids", [], threading.Event()
    first = [sys.executable, "-c", f"open({str(tmp_path / 'first')!r}, 'w').close()"]
    leaves = [sys.executable, "-c", LEAVES, HOLDS, str(tmp_path / "lock")]
    kept = [
        Process("leaves", leaves, once=True),  # a process of its own that nobody waits for
        Process("first", first, once=True),
        Process(
            "second",
            [sys.executable, "-c", LIVES, str(seen)],
            health=lambda: (tmp_path / "first").exists() and bool(pids(seen)),
        ),
    ]
    thread = threading.Thread(
        target=run,
        args=(kept, tmp_path / "log"),
        kwargs={"is_stopped": stopped.is_set, "say": said.append},
    )
    thread.start()
    wait_for(lambda: "second: runs" in said)
    os.kill(pids(seen)[0], signal.SIGKILL)
    wait_for(lambda: len(pids(seen)) == 2)
    stopped.set()
    thread.join(60)
    assert not thread.is_alive()
    for pid in pids(seen):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with (tmp_path / "lock").open() as lock:
        wait_for(lambda: is_free(lock))
    assert said[:3] == ["leaves: done", "first: done", "second: runs"]
    assert "second: ended, and was started again" in said


@pytest.mark.slow
def test_what_cannot_start_is_named_with_its_log_and_the_others_end(tmp_path):
    seen = tmp_path / "pids"
    kept = [
        Process("well", [sys.executable, "-c", LIVES, str(seen)], health=lambda: bool(pids(seen))),
        Process(
            "ill",
            [sys.executable, "-c", "print('why', flush=True); raise SystemExit(3)"],
            health=lambda: False,
        ),
    ]
    with pytest.raises(Refused, match=r"ill ended with 3; read .*ill\.log"):
        run(kept, tmp_path / "log", is_stopped=lambda: False, say=lambda line: None)
    assert (tmp_path / "log" / "ill.log").read_text() == "why\n"
    with pytest.raises(ProcessLookupError):
        os.kill(pids(seen)[0], 0)


def test_secrets_that_were_made_stay_as_they_are(tmp_path):
    (tmp_path / "secrets.json").write_text(json.dumps({"store": "mine"}))
    found = keys(tmp_path / "secrets.json")  # those that came later are added to them
    assert found["store"] == "mine" and len(found) == 8
    assert keys(tmp_path / "secrets.json") == found
