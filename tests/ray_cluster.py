"""A real Ray cluster: a machine is a raylet of its own, here, and can be killed."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

STORE_BYTES = 80 * 2**20  # the least that Ray takes is 75 MB
# What else runs on this machine, and fills its memory, ends no worker of a test.
QUIET = {"RAY_memory_monitor_refresh_ms": "0", "RAY_USAGE_STATS_ENABLED": "0"}
_WORKER_SECONDS = 120.0


class RayMachines:
    """A head and machines of so many CPUs each; with a token of their own, and a home."""

    def __init__(self) -> None:
        # Sockets below it may have 107 characters.
        self.place = Path(tempfile.mkdtemp(prefix="ray-"))
        self.environment = (
            os.environ
            | QUIET
            | {
                "HOME": str(self.place),
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": secrets.token_hex(16),
            }
        )
        self.started: list[subprocess.Popen[bytes]] = []
        self._tries: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def start(self, *, head_cpus: int) -> None:
        """The head, and with it the cluster."""
        self._start(
            "--head",
            f"--port={free_port()}",
            "--include-dashboard=false",
            f"--num-cpus={head_cpus}",
            f"--temp-dir={self.place}",
            '--system-config={"automatic_object_spilling_enabled": false}',
        )
        said = (self.place / "machine-0.log").read_text()
        found = re.search(r"--address='([^']+)'", said)
        assert found, said
        self.address = found[1]

    def add(self, *, cpus: int) -> subprocess.Popen[bytes]:
        """One more machine."""
        return self._start(f"--address={self.address}", f"--num-cpus={cpus}")

    def kill(self, machine: subprocess.Popen[bytes]) -> None:
        """Its raylet ends at once, as by a power cut."""
        raylet_of(machine).kill()
        machine.wait(60)

    def until_it_works(self, machine: subprocess.Popen[bytes]) -> None:
        """Wait until a worker of ours lives on a machine."""
        raylet, since = raylet_of(machine), time.monotonic()
        while not (titles := [each for each in titles_below(raylet) if "Worker" in each]):
            assert time.monotonic() - since < _WORKER_SECONDS, titles_below(raylet)
            time.sleep(0.05)
        assert len(titles) == 1, titles

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A machine, once its raylet is there; Ray itself gives up on a busy one after 30 s."""
        for _ in range(4):
            if (machine := self._tried(*arguments)) is not None:
                self.started.append(machine)
                return machine
        raise AssertionError("this machine is too busy to start Ray")

    def _tried(self, *arguments: str) -> subprocess.Popen[bytes] | None:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block"]
        command.append(f"--object-store-memory={STORE_BYTES}")
        log = self.place / f"machine-{len(self.started)}.log"
        with log.open("wb") as stream:
            machine = subprocess.Popen(
                [*command, *arguments], env=self.environment, stdout=stream, stderr=stream
            )
        self._tries.append(machine)
        while b"Ray runtime started" not in log.read_bytes():
            if machine.poll() is not None:
                assert b"timed out during startup" in log.read_bytes(), log.read_text()
                return None
            time.sleep(0.1)
        return machine

    def close(self) -> None:
        """End all that was started, also what never came up."""
        for machine in reversed(self._tries):
            end(machine)
        shutil.rmtree(self.place, ignore_errors=True)


@contextmanager
def ray_machines(*, head_cpus: int) -> Iterator[RayMachines]:
    """A cluster for as long as the body runs; nothing is left of it, however that ends."""
    machines = RayMachines()
    try:
        machines.start(head_cpus=head_cpus)
        yield machines
    finally:
        machines.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process in its own way, and whatever then still lives of what it had started."""
    children = []
    if process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
    for child in children:
        if child.is_running():  # the very one: its number may be another's by now
            child.kill()


def raylet_of(machine: subprocess.Popen[bytes]) -> psutil.Process:
    """The process that is a machine to Ray."""
    for child in psutil.Process(machine.pid).children():
        if child.name() == "raylet":
            return child
    raise AssertionError("this machine has no raylet")


def titles_below(process: psutil.Process) -> list[str]:
    """What the actors and idle workers that a raylet started call themselves."""
    found = []
    for child in process.children(recursive=True):
        try:
            found.append(" ".join(child.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return [each for each in found if each.startswith("ray::")]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
