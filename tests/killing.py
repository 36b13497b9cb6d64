"""SIGKILL at every step of some work, one step after the other, each time on a fresh copy.

The steps on a disk are all changes below a place; on S3 they are all requests, each before it is
sent, which is after the one before it was answered: that shows every state between two of them.
What several workers send at once is shown as it comes. A folder's removal is one step, unless the
process works in the place itself. The process forks: import first, open no connection and start no
thread before.
"""

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "shutil.rmtree")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def die_at_every_step(
    place: Path, graves: Path, work: Callable[[Path], None], *, stride: int = 1
) -> None:
    """`work` on a copy of `place` below `graves` per step, or per `stride`-th one, each killed that
    much later. The one that lives to its end says "fsync" on stderr as often as it synced: a kill
    shows nothing of that."""
    for step in itertools.count(1, stride):
        copy = graves / f"{step:03d}"
        shutil.copytree(place, copy) if place.exists() else copy.mkdir(parents=True)

        def on_a_copy() -> None:
            syncs = arm(step, copy)  # noqa: B023  called at once
            work(copy)  # noqa: B023
            os.write(2, b"fsync\n" * next(syncs))

        if not _dies(on_a_copy):
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
    # Making a client takes longer than its requests; one that has sent none can be forked.
    client = open_store(graves).bucket.client
    for step in itertools.count(1, stride):
        prefix = f"{graves}/{step:03d}"
        copy_prefix(store, prefix)

        def on_a_copy() -> None:
            copy = open_store(prefix)  # noqa: B023
            copy.bucket.client = client
            arm_requests(step, client)  # noqa: B023
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


def arm(step: int, place: Path) -> Iterator[int]:
    """Kill this process right before its `step`-th change below `place`, and say which that was.

    Returns how often it has synced since, as the next number.
    """
    count, syncs = _counter(step), itertools.count()

    def watch(event: str, arguments: Any) -> None:
        changes = event in CHANGES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        )
        if changes and any(_is_below(place, each) for each in arguments[:2]):
            count(event)

    sys.addaudithook(watch)
    fsync = os.fsync  # which raises no audit event
    os.fsync = lambda descriptor: (next(syncs), fsync(descriptor))[1]
    return syncs


def _is_below(place: Path, named: object) -> bool:
    """Whether an event's argument is a path below `place`; a relative one is below this folder."""
    return isinstance(named, str | Path) and os.path.abspath(named).startswith(str(place))  # noqa: PTH100


def arm_requests(step: int, client: Any) -> None:
    """Kill it right before it sends its `step`-th request."""
    count = _counter(step)

    def before(event_name: str, **_: Any) -> None:
        count(event_name.rpartition(".")[2])

    client.meta.events.register("before-send.s3", before)


def _counter(step: int) -> Callable[[str], None]:
    steps = itertools.count(1)

    def count(event: str) -> None:
        if next(steps) == step:
            os.write(1, f"{event}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    return count
