"""A real Ray cluster: a machine is a raylet of its own, here, and can be killed."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STORE_BYTES = 80 * 2**20  # the least that Ray takes is 75 MB


class RayMachines:
    """A head and machines of so many CPUs each; with a token of their own, and a home."""

    def __init__(self, *, head_cpus: int) -> None:
        # Sockets below it may have 107 characters.
        self.place = Path(tempfile.mkdtemp(prefix="ray-"))
        self.environment = os.environ | {
            "HOME": str(self.place),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self.started: list[subprocess.Popen[bytes]] = []
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
        os.kill(raylet_of(machine), signal.SIGKILL)
        machine.wait(60)

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
        while b"Ray runtime started" not in log.read_bytes():
            if machine.poll() is not None:
                assert b"timed out during startup" in log.read_bytes(), log.read_text()
                return None
            time.sleep(0.1)
        return machine

    def close(self) -> None:
        for machine in reversed(self.started):
            machine.terminate()
        for machine in self.started:
            try:
                machine.wait(30)
            except subprocess.TimeoutExpired:
                machine.kill()
        shutil.rmtree(self.place, ignore_errors=True)


def raylet_of(machine: subprocess.Popen[bytes]) -> int:
    """The process that is a machine to Ray."""
    for child in Path(f"/proc/{machine.pid}/task/{machine.pid}/children").read_text().split():
        if Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].endswith(b"/raylet"):
            return int(child)
    raise AssertionError("this machine has no raylet")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
