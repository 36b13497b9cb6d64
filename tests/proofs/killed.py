"""Work in processes of its own, each killed one step later: a reindex, a sweep or a forgetting.

python killed.py MODE STORE ROOT GRAVES [ARGUMENT ...]

ROOT is a `Place`; STORE is its folder `store` or s3://bucket/prefix. Each process works on a copy
of both, which lies below GRAVES and, on S3, below the prefix `graves`.
"""

import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from killing import die_at_every_request, die_at_every_step
from proofs.catalogue_machine import LENIENT, Place, in_years
from seaweed import open_s3
from tiny_release import NOON

from perennial.index import factory
from perennial.release.forgetting.forget import forget
from perennial.release.stores.local import LocalStore
from perennial.release.sweeping import sweep as sweeping
from perennial.release.sweeping.sweep import sweep

FACTORY = "IVF2,Flat"
MERGING = LENIENT | {"max_segments": 2, "fanout": 2}
KEEPING = {"releases": 1, "lineages": 1, "grace": timedelta(hours=1), "pending": timedelta(days=2)}


def make_lists_small():
    """An IVF of a few rows: its segments are merged list by list, as those of millions."""
    factory.ROWS_PER_CENTROID = 4


def place_of(root, store, *, now):
    place = Place(root, store, None, FACTORY)
    place.now = now
    return place


def do_reindex(root, store, *, day=1):
    return place_of(root, store, now=NOON + timedelta(days=day)).reindex(settings=MERGING)


def do_sweep(root, store, *, day=1):
    sweeping._WRITERS = 1  # one deletion after the other: every state between two of them is seen
    return sweep(store, **KEEPING, clock=lambda: in_years() + timedelta(days=day))


def do_forget(root, store, *doc_ids, day=1):
    place = place_of(root, store, now=NOON)
    return forget(
        store,
        doc_ids,
        who="test",
        clear_caches=place.clear_caches,
        pending=timedelta(hours=12),
        clock=lambda: in_years() + timedelta(days=day),
    )


# A forgetting takes hundreds of requests, a reindex about a hundred: some of them, all along; of a
# reindex each in `make lives`.
STRIDES = {"reindex": 1 if os.environ.get("LIVES") else 3, "sweep": 1, "forget": 7}
WORK = {"reindex": do_reindex, "sweep": do_sweep, "forget": do_forget}


def main():
    mode, where, root, graves, *arguments = sys.argv[1:]
    root, graves, work = Path(root), Path(graves), WORK[mode]
    make_lists_small()
    if not where.startswith("s3://"):
        die_at_every_step(
            root, graves, lambda copy: work(copy, LocalStore(copy / "store"), *arguments)
        )
        return
    bucket, _, prefix = where.removeprefix("s3://").partition("/")

    def on_a_copy(store):
        copy = graves / store.bucket.prefix.rstrip("/").rpartition("/")[2]
        shutil.copytree(root, copy)
        work(copy, store, *arguments)

    die_at_every_request(
        open_s3(bucket, prefix),
        lambda each: open_s3(bucket, each),
        "graves",
        on_a_copy,
        stride=STRIDES[mode],
    )


if __name__ == "__main__":
    main()
