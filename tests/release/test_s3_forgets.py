"""Forgetting and sweeping on a bucket that keeps versions: what goes is gone from every version."""

from datetime import UTC, datetime, timedelta

import pytest
from seaweed import open_s3
from tiny_increment import publish_increment, vector_of
from tiny_release import NOON, publish_folders

from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.forget import forget
from perennial.release.forgetting.forgotten import today
from perennial.release.manifests.documents import live_documents
from perennial.release.publishing.publish import promote, rollback
from perennial.release.sweeping.sweep import sweep
from perennial.release.verify import verify_whole_store

pytestmark = pytest.mark.slow
SAID = {"now": NOON, "why": "because", "who": "test"}
GONE = "forgotten-document"
KEEP = {"releases": 1, "lineages": 1, "grace": timedelta(hours=1), "pending": timedelta(days=2)}


def in_a_year():
    return datetime.now(UTC) + timedelta(days=365)


@pytest.fixture
def store(s3_store, s3_server):
    return open_s3(s3_server.new_bucket(versioned=True))


@pytest.fixture
def grown(store, first, tmp_path):
    """Four releases; the last has deleted GONE, and production went back and hides it."""
    made = [publish_folders(store, first)]
    changes = [
        {"add": {GONE: "word50"}, "remove": {"first-1"}},
        {"add": {"b": "word51"}, "remove": {"first-2"}},
        {"add": {}, "remove": {GONE}},
    ]
    for hour, change in enumerate(changes, start=1):
        at = NOON + timedelta(hours=hour)
        folder = tmp_path / str(hour)
        made.append(publish_increment(store, made[-1], folder, **change, created_at=at))
    for each in made:
        promote(store, "production", each.release_id, **SAID)
    rollback(store, "production", to=made[2].release_id, **SAID)
    assert store.read_channel("production").mask.documents == 1
    return made


def versions(store):
    """{(key, version): bytes} of everything that the bucket keeps; no delete marker counts."""
    client, name = store.bucket.client, store.bucket.name
    rows = client.list_object_versions(Bucket=name).get("Versions", [])
    return {
        (row["Key"], row["VersionId"]): client.get_object(
            Bucket=name, Key=row["Key"], VersionId=row["VersionId"]
        )["Body"].read()
        for row in rows
    }


def test_a_forgotten_document_is_in_no_version_of_any_object(store, grown):
    traces = [GONE.encode(), vector_of("word50").tobytes()]
    before = versions(store).values()
    assert all(any(trace in data for data in before) for trace in traces)
    done = forget(
        store,
        [GONE],
        who="test",
        clear_caches=lambda traces, digests: None,
        pending=timedelta(hours=48),
        clock=in_a_year,
    )
    assert (done.hits, done.in_flight, done.vectors) == ({}, (), 1)
    for key, data in versions(store).items():
        assert not any(trace in data for trace in traces), key
    assert store.read_channel("production").mask is None
    served = read_kept(store, store.read_channel("production").stable, key=None)
    assert served.release_id == today(store, grown[2].release_id)
    names = live_documents(store, served)["doc_id"].to_pylist()
    assert GONE not in names and {"b", "first-7"} <= set(names)
    found = verify_whole_store(store)
    assert (found.findings, found.orphans) == ((), ())


def test_a_sweep_leaves_no_version_of_what_it_deleted_and_every_byte_of_the_rest(store, grown):
    waste, _ = store.put_bytes(b"what nothing names")
    done = sweep(store, **KEEP, clock=in_a_year)
    going = {each.release_id for each in done.releases}
    assert going == {each.release_id for each in grown[:2]}
    deleted = {each.digest for each in done.objects}
    own = {d for each in grown[:2] for d in each.objects()}
    own -= {d for each in grown[2:] for d in each.objects()}
    assert waste in deleted and own and own <= deleted
    hexadecimal = {each.removeprefix("sha256:") for each in deleted}
    for (key, _), data in versions(store).items():
        _, folder, *_, name = key.split("/")  # of notes, which name digests, versions may stay
        assert folder == "pending" or name.removesuffix(".json") not in hexadecimal | going, key
        assert data != b"what nothing names"
    found = verify_whole_store(store)
    assert (found.findings, found.orphans) == ((), ())
    assert {each.release_id for each in grown[2:]} == set(store.release_ids())
    assert "first-7" in live_documents(store, grown[2])["doc_id"].to_pylist()
    assert sweep(store, **KEEP, clock=in_a_year).objects == ()
