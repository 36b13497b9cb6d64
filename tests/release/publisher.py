"""A publisher in processes of its own, which a test kills, starves or races.

python publisher.py MODE STORE FOLDERS CATALOGUE_JSON [ARGUMENT ...]
"""

import itertools
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_release import NOON, Folders, publish_folders

from perennial.errors import PerennialError
from perennial.release.local import LocalStore
from perennial.release.materialise import materialise
from perennial.release.publish import promote

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def publish_and_promote(store, folders):
    release_id = publish_folders(store, folders).release_id
    promote(store, "production", release_id, now=NOON, why="better", who=f"pid {os.getpid()}")


def arm(step, place):
    """Kill this process right before its `step`-th change below `place`, and say which that was."""
    steps = itertools.count(1)

    def count(event):
        if next(steps) == step:
            os.write(1, f"{event}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event, arguments):
        changes = event in ("os.rename", "os.mkdir", "os.remove") or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        )
        if changes and str(arguments[0]).startswith(str(place)):
            count(event)

    sys.addaudithook(watch)
    fsync = os.fsync  # which raises no audit event
    os.fsync = lambda descriptor: (count("fsync"), fsync(descriptor))


def die_at_every_step(place, graves, work):
    """`work` on a copy of `place` below `graves` per step, each killed one step later."""
    for step in itertools.count(1):
        copy = graves / f"{step:03d}"
        shutil.copytree(place, copy) if place.exists() else copy.mkdir(parents=True)
        child = os.fork()
        if child == 0:
            arm(step, copy)
            work(copy)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            shutil.rmtree(copy)
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


def limited(limit, signal_too, work):
    """`work` where no file may grow beyond `limit` bytes: a disk that is full, without root."""
    if signal_too == "killed":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel then kills in mid-write
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    work()


class Together(LocalStore):
    """Swaps only when the other publisher is about to swap too."""

    def __init__(self, root, me, other):
        super().__init__(root)
        self.me, self.other = Path(me), Path(other)

    def compare_and_swap(self, name, expected, new):
        self.me.touch()
        while not self.other.exists():
            time.sleep(0.001)
        super().compare_and_swap(name, expected, new)


def main():
    mode, root, where, catalogue, *arguments = sys.argv[1:]
    store, where = LocalStore(Path(root)), Path(where)
    folders = Folders(
        where / "encoder", where / "index", where / "references", json.loads(catalogue)
    )
    if mode == "die":
        graves = Path(arguments[0])
        die_at_every_step(
            store.root, graves, lambda copy: publish_and_promote(LocalStore(copy), folders)
        )
    elif mode == "die-materialising":
        graves, (release_id,) = Path(arguments[0]), store.release_ids()
        die_at_every_step(
            graves / "cache", graves, lambda copy: materialise(store, release_id, copy / "release")
        )
    elif mode == "limit":
        limited(int(arguments[0]), arguments[1], lambda: publish_and_promote(store, folders))
    elif mode == "as-nobody":
        if os.getuid() == 0:
            os.setuid(65534)  # root ignores permission bits
        publish_and_promote(store, folders)
    elif mode == "race":
        publish_and_promote(Together(store.root, *arguments), folders)


if __name__ == "__main__":
    try:
        main()
    except PerennialError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
