"""Commands without the seconds of their imports: one process imports, and forks for each command.

What is forked is a process of its own with its own memory, folder, environment, streams and end; it
shares what was imported, and the seed of the hashes of strings. Tests of the import itself, of the
order of sets, or of a kill start Python anew.
"""

import atexit
import importlib
import json
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from small import CHECKOUT, STAGES, module_of

COMMANDS = ("perennial.cli", *(module_of(stage) for stage in STAGES))
# What they import only when they work.
LATER = (
    *("great_expectations", "matplotlib.pyplot", "scipy.stats", "sklearn", "torch"),
    *("expectations.__main__", "perennial.verbs.bootstrap", "perennial.verbs.snapshot"),
)
PATIENCE_SECONDS = 500
Answer = subprocess.CompletedProcess[str]


class WarmPython:
    """`run` is `python -m` in a fork of the process at the socket's other end."""

    def __init__(self, line: socket.socket):
        self.line = line

    def run(
        self,
        module: str,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str] = os.environ,
        file_limit: int | None = None,
    ) -> Answer:
        """`file_limit`: no file may grow beyond so many bytes, as on a disk that is full."""
        asked = {
            "module": module,
            "arguments": arguments,
            "cwd": str(cwd),
            "env": dict(env),
            "limit": file_limit,
        }
        message = json.dumps(asked).encode()
        reads, writes = zip(os.pipe(), os.pipe(), strict=True)
        try:
            self.line.sendall(len(message).to_bytes(4, "big"))
            socket.send_fds(self.line, [message], list(writes))
            for each in writes:
                os.close(each)
            with ThreadPoolExecutor(2) as pool:
                out, err = pool.map(_read_all, reads)
            code = self.line.recv(4)
            assert len(code) == 4, "the warm Python has ended"
        except BaseException:
            self.line.close()  # whoever asks next would get this command's answer
            raise
        done = int.from_bytes(code, "big", signed=True)
        return subprocess.CompletedProcess([module, *arguments], done, out, err)


@contextmanager
def warm_python() -> Iterator[WarmPython]:
    """A process that has imported everything; ended with the block, and with this process."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )
    theirs.close()
    try:
        with ours:
            yield WarmPython(ours)
    finally:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read_all(descriptor: int) -> str:
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        return stream.read()


def _serve(line: socket.socket) -> None:
    """One command after the other until nobody asks any more."""
    for name in (*COMMANDS, *LATER):
        importlib.import_module(name)
    for name in (*COMMANDS, "expectations.__main__"):
        del sys.modules[name]  # else runpy warns that it comes twice
    assert threading.active_count() == 1, "a fork would lose Python's threads"
    sys.path.remove(str(Path(__file__).parent))  # `python -m` has no tests on its way
    while length := line.recv(4):
        message, streams, _, _ = socket.recv_fds(line, int.from_bytes(length, "big"), 2)
        while len(message) < int.from_bytes(length, "big"):
            message += line.recv(int.from_bytes(length, "big") - len(message))
        child = os.fork()
        if child == 0:
            line.close()
            _become(json.loads(message), streams)
        for each in streams:
            os.close(each)
        _, status = os.waitpid(child, 0)
        line.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    """This process is the command from here on; never returns."""
    code: object = 1
    try:
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), 0)
        for target, stream in enumerate(streams, start=1):
            os.dup2(stream, target)
            os.close(stream)
        signal.alarm(PATIENCE_SECONDS)  # which kills it, and whoever waits for it goes on
        os.chdir(asked["cwd"])
        sys.path.insert(0, asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        if asked["limit"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (asked["limit"], asked["limit"]))
        sys.argv = [asked["module"], *asked["arguments"]]
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  as the interpreter itself does
        traceback.print_exc()
    finally:
        if isinstance(code, str):
            print(code, file=sys.stderr)
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does, too
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        _serve(asking)
