"""Publishers at once, and a sweep beside them for as long as they work, each a process of its own.

python beside_a_sweep.py STORE FOLDERS CATALOGUE_JSON PUBLISHERS MOVES

To the sweep every object is old, so that only a manifest or a pending note keeps it; and each
publisher finds its new object there already, as the waste of one who was killed.
"""

import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "release"))
from publisher import open_place, patiently
from tiny_release import HEALTH, NOON, Folders

from perennial.release.publishing.publish import promote, publish
from perennial.release.sweeping.sweep import sweep


def tomorrow():
    return datetime.now(UTC) + timedelta(days=1)


def take_part(place, folders, scratch, publisher, moves):
    store = open_place(place, attempts=5, timeout_seconds=20.0)
    references = scratch / f"references-{publisher}"
    shutil.copytree(folders.references, references)
    own = replace(folders, references=references)
    for move in range(moves):
        (references / "queries.parquet").write_bytes(f"queries {publisher} {move}".encode())
        store.put_file(references / "queries.parquet")
        time.sleep(secrets.randbelow(300) / 1000)
        release_id = publish(
            store,
            encoder=own.encoder,
            index=own.index,
            references=own.references,
            catalogue=own.catalogue,
            health=HEALTH,
            provenance={"git_commit": "0" * 40},
            parent=None,
            created_at=tomorrow(),
        ).release_id
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
        os.write(1, f"published {release_id} {channel.generation}\n".encode())


def sweep_until(place, end):
    store = open_place(place, attempts=5, timeout_seconds=20.0)
    # By a clock of tomorrow the temporary file of a live publisher is debris.
    store.remove_debris = lambda *, before: None
    while not end.exists():
        done = sweep(
            store,
            releases=1000,
            lineages=1000,
            grace=timedelta(hours=1),
            pending=timedelta(hours=48),
            clock=tomorrow,
        )
        os.write(1, f"swept {len(done.objects)} {len(done.releases)}\n".encode())
        time.sleep(secrets.randbelow(100) / 1000)


def in_a_child(work, *arguments):
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  nothing of the parent may run in the child
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(70)
    return child


def main():
    place, where, catalogue, publishers, moves = sys.argv[1:]
    where = Path(where)
    folders = Folders(
        where / "encoder", where / "index", where / "references", json.loads(catalogue)
    )
    with tempfile.TemporaryDirectory() as scratch:
        end = Path(scratch) / "end"
        sweeper = in_a_child(sweep_until, place, end)
        children = [
            in_a_child(take_part, place, folders, Path(scratch), publisher, int(moves))
            for publisher in range(int(publishers))
        ]
        codes = [os.waitpid(child, 0)[1] for child in children]
        end.touch()
        assert [*codes, os.waitpid(sweeper, 0)[1]] == [0] * (len(children) + 1)


if __name__ == "__main__":
    main()
