"""A reader's cache in processes of its own, which a test kills or lets share one folder.

python cache_user.py MODE STORE CACHE RELEASE_ID [ARGUMENT]
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

from perennial.release.caching.cache import ReleaseCache
from perennial.release.caching.evict import evict
from perennial.release.stores.local import LocalStore

CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "fcntl.flock"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def die_right_before(step):
    """Kill this process before its `step`-th change of any file."""
    steps = itertools.count(1)

    def watch(event, arguments):
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        if (writes or event in CHANGES) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def die_at_every_step(store, cache, release_id, graves):
    """Open `release_id` and evict all others in a copy of the cache per step, each killed later."""
    for step in itertools.count(1):
        copy = graves / f"{step:03d}"
        shutil.copytree(cache, copy)
        child = os.fork()
        if child == 0:
            die_right_before(step)
            opened = ReleaseCache(copy)
            used = opened.open(store, release_id)
            evict(opened, keep={used.manifest.release_id})
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            shutil.rmtree(copy)
            return


def main():
    mode, store, root, release_id, *arguments = sys.argv[1:]
    store, cache = LocalStore(Path(store)), Path(root)
    if mode == "die":
        die_at_every_step(store, cache, release_id, Path(arguments[0]))
    elif mode == "hold":
        used = ReleaseCache(cache).open(store, release_id)
        print(used.directory, flush=True)
        sys.stdin.read()
    elif mode == "turn":
        opened = ReleaseCache(cache)
        for _ in range(int(arguments[0])):
            used = opened.open(store, release_id)
            assert (used.directory / "manifest.json").read_bytes() == used.manifest.to_bytes()
            assert all((used.directory / path).is_file() for path, _ in used.manifest.files())
            del used
            evict(opened, keep=())


if __name__ == "__main__":
    main()
