"""Processes that are kept alive: started once what they need answers, again where they end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perennial.errors import Refused
from tasks import guard

PATIENCE_SECONDS = 300.0
_LONGEST_PAUSE_SECONDS = 30.0
_STOP_SECONDS = 60.0
WELL_SECONDS = 60.0  # whoever ran so long has not failed in a row


@dataclass(frozen=True)
class Process:
    """What is started; `health` is true once it can be used, and `once` says that it ends."""

    name: str
    command: Sequence[str]
    health: Callable[[], bool] = lambda: True
    once: bool = False
    needed: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


class Kept:
    """One process and its log; neither it nor its group can outlive us."""

    def __init__(self, process: Process, logs: Path) -> None:
        self.process, self._log = process, logs / f"{process.name}.log"
        self._running: subprocess.Popen[bytes] | None = None
        self._failures, self._again_at, self._started_at = 0, 0.0, 0.0

    def start(self) -> None:
        """Start it, in a group of its own, whose number NAME.pid keeps; its log goes on."""
        self._end_group()
        self._started_at = time.monotonic()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, *self.process.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | dict(self.process.environment),
            )
        told = self._log.with_suffix(".pid")
        told.with_suffix(".new").write_text(f"{self._running.pid}\n", encoding="utf-8")
        told.with_suffix(".new").replace(told)  # whoever reads it finds a number

    def wait(self, *, is_stopped: Callable[[], bool]) -> None:
        """Until it can be used, or has ended well where it is to end; raises Refused."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and not is_stopped():
            code = self._code()
            if code == 0 and self.process.once:
                return
            if code is not None:
                raise Refused(f"{self.process.name} ended with {code}; read {self._log}")
            if not self.process.once and self.process.health():
                return
            time.sleep(0.2)
        if not is_stopped():
            raise Refused(f"{self.process.name} does not answer; read {self._log}")

    def keep(self, now: float) -> bool:
        """Start it again where it ended, ever more rarely: true where that was so."""
        if self.process.once or self._code() is None:
            return False
        if self._again_at == 0.0:
            ran = now - self._started_at
            self._failures = 1 if ran > WELL_SECONDS else self._failures + 1
            self._again_at = now + min(_LONGEST_PAUSE_SECONDS, 2.0**self._failures)
        if now < self._again_at:
            return False
        self._again_at = 0.0
        self.start()
        return True

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after a minute and to whoever of its group is left then."""
        running = self._running
        if running is None:
            return
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGTERM)
            try:
                running.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
        self._end_group()

    def _end_group(self) -> None:
        """Whoever the last start left behind: the guard may have been killed before its command."""
        if self._running is not None and self._running.stdin is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._running.pid, signal.SIGKILL)
            self._running.stdin.close()

    def _code(self) -> int | None:
        assert self._running is not None
        return self._running.poll()


def run(
    processes: Sequence[Process],
    logs: Path,
    *,
    is_stopped: Callable[[], bool],
    say: Callable[[str], None],
) -> None:
    """All of them, one after the other, until `is_stopped`; then backwards. Raises Refused."""
    kept: list[Kept] = []
    try:
        for process in processes:
            if is_stopped():
                return
            one = Kept(process, logs)
            kept.append(one)
            one.start()
            if process.needed:
                one.wait(is_stopped=is_stopped)
            say(f"{process.name}: {'done' if process.once else 'runs'}")
        say("all of it runs; Ctrl-C ends it")
        while not is_stopped():
            for one in kept:
                if one.keep(time.monotonic()):
                    say(f"{one.process.name}: ended, and was started again")
            time.sleep(0.5)
    finally:
        for one in reversed(kept):
            one.stop()


def answers(url: str) -> Callable[[], bool]:
    """Whether the address answers 200."""

    def look() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return look
