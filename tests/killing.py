"""SIGKILL at every step of some work, one step after the other, each time on a fresh copy.

The steps on a disk are all changes and syncs below a place; on S3 they are all requests, once
before they are sent and once after they are answered. The process forks: import first, open no
client and start no thread before.
"""

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def die_at_every_step(
    place: Path, graves: Path, work: Callable[[Path], None], *, stride: int = 1
) -> None:
    """`work` on a copy of `place` below `graves` per step, or per `stride`-th one, each killed that
    much later."""
    for step in itertools.count(1, stride):
        copy = graves / f"{step:03d}"
        shutil.copytree(place, copy) if place.exists() else copy.mkdir(parents=True)
        if not _dies(lambda: (arm(step, copy), work(copy))):  # noqa: B023  called at once
            shutil.rmtree(copy)
            return


def die_at_every_request(
    store: Any,
    open_store: Callable[[str], Any],
    graves: str,
    work: Callable[[Any], None],
    *,
    stride: int = 1,
) -> None:
    """`work` on a copy of the S3 store under the prefix `graves`/<step> per step, or per
    `stride`-th one."""
    for step in itertools.count(1, stride):
        prefix = f"{graves}/{step:03d}"
        copy_prefix(store, prefix)

        def on_a_copy() -> None:
            copy = open_store(prefix)  # noqa: B023
            arm_requests(step, copy.bucket.client)  # noqa: B023
            work(copy)

        if not _dies(on_a_copy):
            return


def copy_prefix(store: Any, prefix: str) -> None:
    """Copy what the S3 store holds to another prefix of its bucket, inside the server."""
    bucket = store.bucket
    for row in list(bucket.list("")):
        bucket.client.copy_object(
            Bucket=bucket.name,
            Key=f"{prefix}/{row['Key']}",
            CopySource={"Bucket": bucket.name, "Key": bucket.prefix + row["Key"]},
        )


def _dies(work: Callable[[], object]) -> bool:
    """True where the work, in a child, was killed; False where it ended well."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  nothing of the parent may run in the child
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(70)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert os.WEXITSTATUS(status) == 0, "the work failed in a child; see its stderr"
        return False
    assert os.WTERMSIG(status) == signal.SIGKILL
    return True


def arm(step: int, place: Path) -> None:
    """Kill this process right before its `step`-th change below `place`, and say which that was."""
    count = _counter(step)

    def watch(event: str, arguments: Any) -> None:
        changes = event in ("os.rename", "os.mkdir", "os.remove", "os.link") or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        )
        if changes and any(str(each).startswith(str(place)) for each in arguments[:2]):
            count(event)

    sys.addaudithook(watch)
    fsync = os.fsync  # which raises no audit event
    os.fsync = lambda descriptor: (count("fsync"), fsync(descriptor))[1]


def arm_requests(step: int, client: Any) -> None:
    """Kill it at its `step`-th event of S3: right before a request, or right after its answer."""
    count = _counter(step)

    def before(event_name: str, **_: Any) -> None:
        count(f"before-{event_name.rpartition('.')[2]}")

    def after(event_name: str, **_: Any) -> None:
        count(f"after-{event_name.rpartition('.')[2]}")

    client.meta.events.register("before-send.s3", before)
    client.meta.events.register("response-received.s3", after)


def _counter(step: int) -> Callable[[str], None]:
    steps = itertools.count(1)

    def count(event: str) -> None:
        if next(steps) == step:
            os.write(1, f"{event}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    return count
