"""Queries first: what a process does that answers them, and what its other threads do for them."""

import contextlib
import gc
import os
import sys
import threading

_NICER_BY, _NICEST = 10, 19
_HAND_OVER_SECONDS = 0.0005
_COLLECT_AFTER = 50_000  # new objects, not 700: an answer to 64 queries alone has a thousand


def put_queries_first() -> None:
    """For a process that only serves, once its first release is loaded.

    A query takes the interpreter several times, after each native call; while another thread
    computes, CPython lets each of those wait for 5 ms. And what was loaded until now lives as long
    as the process: a full garbage collection would walk through it for 30 ms and more. Queries are
    tokenized by the thread that has them: handing 64 to others on two busy cores took 1.5 ms, not
    0.4.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.setswitchinterval(_HAND_OVER_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def step_back() -> None:
    """Let this thread, and those that it starts, run behind the others, where the system can."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            nice = os.getpriority(os.PRIO_PROCESS, thread) + _NICER_BY
            os.setpriority(os.PRIO_PROCESS, thread, min(nice, _NICEST))
