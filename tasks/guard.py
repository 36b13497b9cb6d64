"""`python tasks/guard.py COMMAND…` runs a command that cannot outlive its caller.

The caller holds the other end of standard input. When it closes, because the caller was killed,
the whole process group is killed with it: a training without its flow would write into a
workspace that the next run continues.
"""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """The command's exit code; 128 + n where signal n ended it."""
    # A handler, not SIG_IGN: the command must not inherit the deafness.
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_die_with_caller, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _die_with_caller() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
