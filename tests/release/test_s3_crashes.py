"""Whatever request a publisher on S3 dies at: readers see a whole release, a re-run succeeds."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from seaweed import open_s3
from tiny_release import NOON, publish_folders

from perennial.index.index import Index
from perennial.release.caching.materialise import materialise
from perennial.release.publishing.publish import promote
from perennial.release.verify import verify_release, verify_store

pytestmark = pytest.mark.slow
PUBLISHER = Path(__file__).with_name("publisher.py")


def run(mode, store, folders, *arguments):
    command = [sys.executable, str(PUBLISHER), mode, store.place, str(folders.index.parent)]
    command += [json.dumps(folders.catalogue), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def graves_of(store, deaths, folder="graves"):
    for step in range(1, len(deaths) + 1):
        survivor = open_s3(store.bucket.name, f"{folder}/{step:03d}")
        survivor.bucket.client = store.bucket.client  # making one takes longer than all the rest
        yield survivor


def served(store, cache):
    """What a fresh reader finds: the release_id and its index's live documents."""
    channel = store.read_channel("production")
    if channel is None:
        return None
    assert verify_release(store, channel.stable) == []
    manifest = materialise(store, channel.stable, cache / channel.stable)
    index = Index.open(cache / channel.stable / "index", encoder_digest=manifest.encoder.digest)
    return channel.stable, index.live


def publish_again(store, folders):
    release_id = publish_folders(store, folders).release_id
    promote(store, "production", release_id, now=NOON, why="again", who="test")
    return release_id


@pytest.mark.parametrize("before", ["nothing", "a release"])
def test_a_publisher_killed_at_any_request_leaves_the_old_release_or_the_new(
    before, s3_store, first, retrained, tmp_path
):
    if before == "a release":
        publish_again(s3_store, first)
    old = served(s3_store, tmp_path / "cache")
    deaths = run("die", s3_store, retrained, "graves")
    count = Counter(deaths)
    objects = 8 if before == "nothing" else 4
    # note, objects, manifest, pin, conditions, channel
    assert count["PutObject"] >= objects + 4
    assert count["GetObject"] >= 4
    assert count["DeleteObject"] >= 2

    seen = []
    for survivor in graves_of(s3_store, deaths):
        seen.append(served(survivor, tmp_path / "cache"))
        if set(survivor.release_ids()) - {seen[-1] and seen[-1][0], old and old[0]}:
            assert verify_store(survivor) == [], "a manifest that is there has its objects"
        release_id = publish_again(survivor, retrained)
        assert survivor.read_channel("production").stable == release_id
        assert verify_store(survivor) == []
        assert survivor.pending() == []
    new = (release_id, 50)
    assert set(seen) == {old, new}
    assert seen[0] == old and seen[-1] == new
    assert seen == sorted(seen, key=lambda answer: answer == new)  # once new, never old again


def test_an_upload_killed_at_any_request_is_absent_or_whole_and_goes_on(
    s3_store, retrained, tmp_path
):
    large = tmp_path / "large"
    large.write_bytes(os.urandom(2 * (5 << 20) + 1))
    deaths = run("die-uploading", s3_store, retrained, "graves", large)
    assert Counter(deaths)["UploadPart"] == 3
    assert Counter(deaths)["CompleteMultipartUpload"] == 1
    for survivor in graves_of(s3_store, deaths):
        for digest in survivor.digests():
            survivor.check(digest)
        digest, _ = survivor.put_file(large)
        survivor.check(digest)
