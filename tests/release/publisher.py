"""A publisher in processes of its own, which a test kills, starves or races.

python publisher.py MODE STORE FOLDERS CATALOGUE_JSON [ARGUMENT ...]

STORE is a folder or s3://bucket/prefix; boto3 finds the server in the environment.
"""

import json
import os
import resource
import secrets
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from killing import die_at_every_request, die_at_every_step
from seaweed import open_s3
from tiny_release import HEALTH, NOON, Folders, publish_folders

from perennial.errors import Conflict, PerennialError
from perennial.release.caching.materialise import materialise
from perennial.release.publishing.publish import promote, publish
from perennial.release.stores.local import LocalStore


def open_place(place, **options):
    if not place.startswith("s3://"):
        return LocalStore(Path(place))
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    return open_s3(bucket, prefix, **options)


def publish_and_promote(store, folders):
    release_id = publish_folders(store, folders).release_id
    promote(store, "production", release_id, now=NOON, why="better", who=f"pid {os.getpid()}")


def die_publishing(store, graves, folders):
    if isinstance(store, LocalStore):
        die_at_every_step(
            store.root, Path(graves), lambda copy: publish_and_promote(LocalStore(copy), folders)
        )
        return
    die_at_every_request(
        store,
        lambda prefix: open_s3(store.bucket.name, prefix),
        graves,
        lambda copy: publish_and_promote(copy, folders),
    )


def die_uploading(store, graves, path):
    """One object of several parts, by one worker: its steps come in one order."""
    die_at_every_request(
        store,
        lambda prefix: open_s3(store.bucket.name, prefix, workers=1),
        graves,
        lambda copy: copy.put_file(Path(path)),
    )


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


def crowd(place, folders, publishers, moves):
    """So many processes at once, each publishing and promoting releases of its own.

    Each one prints `publisher generation release_id` of every move that it was told it made.
    """
    children = []
    for publisher in range(publishers):
        child = os.fork()
        if child == 0:
            try:
                take_part(open_place(place, attempts=6), folders, publisher, moves)
                os._exit(0)
            except BaseException as error:  # noqa: BLE001  the parent's code must not run here
                os.write(2, f"publisher {publisher}: {type(error).__name__}: {error}\n".encode())
                os._exit(70)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0


def take_part(store, folders, publisher, moves):
    for _ in range(moves):
        release_id = patiently(lambda: publish_one(store, folders)).release_id
        channel = patiently(
            lambda: promote(
                store,
                "production",
                release_id,  # noqa: B023  called at once
                now=NOON,
                why="mine",
                who=f"publisher {publisher}",
            )
        )
        os.write(1, f"{publisher} {channel.generation} {release_id} {channel.write_id}\n".encode())


def patiently(work):
    """Again after a lost race, or where the store did not answer."""
    for _ in range(200):
        try:
            return work()
        except Conflict:
            time.sleep(secrets.randbelow(20) / 1000)
    raise AssertionError("two hundred races in a row were lost")


def publish_one(store, folders):
    return publish(
        store,
        encoder=folders.encoder,
        index=folders.index,
        references=folders.references,
        catalogue=folders.catalogue,
        health=HEALTH,
        provenance={"git_commit": secrets.token_hex(20)},  # no two releases are the same
        parent=None,
        created_at=NOON,
    )


def main():
    mode, place, where, catalogue, *arguments = sys.argv[1:]
    store, where = open_place(place), Path(where)
    folders = Folders(
        where / "encoder", where / "index", where / "references", json.loads(catalogue)
    )
    if mode == "die":
        die_publishing(store, arguments[0], folders)
    elif mode == "die-uploading":
        die_uploading(store, *arguments)
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
    elif mode == "crowd":
        crowd(place, folders, *map(int, arguments))


if __name__ == "__main__":
    try:
        main()
    except PerennialError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
