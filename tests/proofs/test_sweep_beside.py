"""Sixteen publishers at once and a sweep beside them, on both stores: it deletes nothing that a
manifest then names, and no move is lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_release import fast_folder, write_folders

from perennial.release.stores.local import LocalStore
from perennial.release.verify import verify_whole_store

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("beside_a_sweep.py")
PUBLISHERS, MOVES = 16, 3


@pytest.fixture
def root():
    with fast_folder() as place:
        yield place


@pytest.fixture(params=["a folder", "s3"])
def store(request, root):
    if request.param == "s3":
        return request.getfixturevalue("s3_store")
    return LocalStore(root / "store")


def test_a_sweep_beside_sixteen_publishers_deletes_nothing_that_a_manifest_then_names(store, root):
    folders = write_folders(root / "folders", lineage=1)
    for file in folders.encoder.rglob("*"):
        if file.is_file():  # waste, too, when the first publisher comes
            store.put_file(file)
    command = [sys.executable, str(DRIVER), store.place, str(folders.index.parent)]
    command += [json.dumps(folders.catalogue), str(PUBLISHERS), str(MOVES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.splitlines()]
    published = {release_id for word, release_id, _ in told if word == "published"}
    generations = sorted(int(n) for word, _, n in told if word == "published")
    sweeps = [int(objects) for word, objects, _ in told if word == "swept"]
    assert len(published) == PUBLISHERS * MOVES
    assert generations == list(range(1, PUBLISHERS * MOVES + 1))
    assert len(sweeps) > 3 and sum(sweeps) > 3, "it found waste to delete, while they worked"
    assert set(store.release_ids()) == published
    found = verify_whole_store(store)
    assert (found.findings, store.pending_ids(), store.record_names()) == ((), [], [])
