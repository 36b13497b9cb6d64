"""The store on a real S3 server: what it keeps, and what it says when it cannot."""

import hashlib
import os

import pytest
from seaweed import open_s3

from perennial.errors import BadInput, Conflict, IntegrityError
from perennial.model.digest import file_digest
from perennial.release.stores.s3.store import S3Store
from perennial.release.stores.store import PendingNote, missing_objects
from perennial.release.stores.verified import MOST_NAMED_BYTES

pytestmark = pytest.mark.slow
A = "rel-" + "a" * 12
NOWHERE = "sha256:" + "0" * 64


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(os.urandom(1 << 20))
    return path


def key_of(store, digest):
    return f"{store.bucket.prefix}objects/{digest[7:9]}/{digest[7:]}"


def test_an_object_is_kept_under_its_digest(s3_store, source, tmp_path):
    digest, size = s3_store.put_file(source)
    assert (digest, size) == (file_digest(source), 1 << 20)
    assert s3_store.has(digest) and s3_store.digests() == [digest]
    assert s3_store.sizes([digest, NOWHERE]) == {digest: size, NOWHERE: None}
    assert s3_store.read(digest) == source.read_bytes()
    s3_store.fetch(digest, tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == source.read_bytes()
    assert (tmp_path / "deep" / "copy").stat().st_mode & 0o222 == 0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["copy"]
    assert missing_objects(s3_store, [(digest, size), (NOWHERE, 1)]) == [NOWHERE]


def test_an_empty_file_is_an_object_too(s3_store, tmp_path):
    (tmp_path / "empty").touch()
    digest, _ = s3_store.put_file(tmp_path / "empty")
    s3_store.fetch(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == s3_store.read(digest) == b""


def test_bytes_that_do_not_have_the_digest_are_not_stored(s3_store, source):
    with pytest.raises(IntegrityError, match="changed while it was published"):
        s3_store.put_file(source, digest=NOWHERE)
    assert s3_store.objects() == []


def test_small_bytes_are_an_object(s3_store):
    digest, size = s3_store.put_bytes(b"mask")
    assert (s3_store.read(digest), size) == (b"mask", 4)


def test_an_object_that_rotted_is_refused_by_name_and_healed(s3_store, s3_server, source, tmp_path):
    digest, _ = s3_store.put_file(source)
    wrong = bytearray(source.read_bytes())
    wrong[len(wrong) // 2] ^= 1
    place = {"Bucket": s3_store.bucket.name, "Key": key_of(s3_store, digest)}
    s3_server.client().put_object(Body=bytes(wrong), **place)
    for look in (s3_store.read, s3_store.check, lambda d: s3_store.fetch(d, tmp_path / "copy")):
        with pytest.raises(IntegrityError, match=f"damaged in the store.*{digest}"):
            look(digest)
    assert not (tmp_path / "copy").exists()
    s3_store.put_file(source, digest=digest)  # who passes a digest asks only whether it is there
    with pytest.raises(IntegrityError):
        s3_store.check(digest)
    s3_store.put_file(source)
    s3_store.check(digest)


def test_a_missing_object_is_named_with_what_to_do(s3_store, tmp_path):
    for look in (s3_store.read, s3_store.check, lambda d: s3_store.fetch(d, tmp_path / "copy")):
        with pytest.raises(IntegrityError, match=f"{NOWHERE} is missing .* rollback"):
            look(NOWHERE)


def test_deleting_is_final_in_every_version_of_a_versioned_bucket(s3_store, s3_server, source):
    store = open_s3(s3_server.new_bucket(versioned=True))
    digest, _ = store.put_file(source)
    store.put_bytes(b"its neighbour")
    store.bucket.call("delete_object", f"objects/{digest[7:9]}/{digest[7:]}")
    store.put_file(source)
    store.delete(digest)
    store.delete(digest)
    left = s3_server.client().list_object_versions(Bucket=store.bucket.name)
    assert [row["Key"] for row in left["Versions"]] == [
        key_of(store, "sha256:" + hashlib.sha256(b"its neighbour").hexdigest())
    ]
    assert "DeleteMarkers" not in left


def test_notes_come_back_until_they_are_withdrawn(s3_store):
    note = PendingNote(1, A, "2026-01-05T12:00:00Z", (NOWHERE,))
    s3_store.write_pending(note)
    assert s3_store.pending() == [note]
    s3_store.clear_pending(A)
    s3_store.clear_pending(A)
    assert s3_store.pending() == []


def test_an_unknown_release_is_bad_input_that_says_where_to_look(s3_store):
    with pytest.raises(BadInput, match="perennial status"):
        s3_store.manifest_bytes(A)


def test_records_swap_only_from_what_is_there(s3_store):
    assert s3_store.read_record("sweep") is None
    s3_store.swap_record("sweep", None, b"one")
    with pytest.raises(Conflict, match="somebody else wrote first"):
        s3_store.swap_record("sweep", None, b"two")
    s3_store.swap_record("sweep", b"one", b"two")
    s3_store.swap_record("forgotten/rel-1", None, b"map")
    assert s3_store.record_names() == ["forgotten/rel-1", "sweep"]
    with pytest.raises(Conflict):
        s3_store.swap_record("sweep", b"one", None)
    s3_store.swap_record("sweep", b"two", None)
    assert s3_store.read_record("sweep") is None
    assert s3_store.record_names() == ["forgotten/rel-1"]
    s3_store.swap_record("sweep", None, b"again")
    assert s3_store.read_record("sweep") == b"again"


def test_two_prefixes_of_a_bucket_are_two_stores(s3_store, source):
    digest, _ = s3_store.put_file(source)
    other = open_s3(s3_store.bucket.name, "store2")
    assert not other.has(digest) and other.digests() == []
    root = open_s3(s3_store.bucket.name, "")
    assert root.place == f"s3://{s3_store.bucket.name}" and root.digests() == []


@pytest.mark.parametrize("sse", [{"sse": "AES256"}, {"sse": "aws:kms", "kms_key_id": "key-1"}])
def test_objects_are_encrypted_where_the_settings_say_so(s3_store, s3_server, tmp_path, sse):
    store = open_s3(s3_store.bucket.name, "closed", **sse)
    (tmp_path / "large").write_bytes(os.urandom((5 << 20) + 1))
    for digest in (store.put_bytes(b"small")[0], store.put_file(tmp_path / "large")[0]):
        store.check(digest)
        head = store.bucket.head(f"objects/{digest[7:9]}/{digest[7:]}")
        assert head["ServerSideEncryption"] == sse["sse"]
        assert head.get("SSEKMSKeyId") == sse.get("kms_key_id")


@pytest.mark.parametrize("options", [{"sse": "rot13"}, {"sse": "AES256", "kms_key_id": "k"}])
def test_encryption_that_cannot_be_is_refused_before_anything_is_sent(options):
    with pytest.raises(BadInput, match="PERENNIAL_S3_"):
        S3Store("bucket", **options)


def test_a_channel_too_large_to_be_one_is_not_sent(s3_store):
    s3_store.bucket.put("channels/production.json", b" " * (MOST_NAMED_BYTES + 1))
    for read in (s3_store.read_channel, lambda name: s3_store._read(f"channels/{name}.json")):
        with pytest.raises(IntegrityError, match="more than is ever written there"):
            read("production")
