"""The objects of the store on a disk: closed, content-addressed, verified."""

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from damage import flip, overwrite

from perennial.errors import BadInput, IntegrityError
from perennial.model.digest import file_digest

A, B = "rel-" + "a" * 12, "rel-" + "b" * 12
NOWHERE = "sha256:" + "0" * 64


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(os.urandom(3 << 20))
    return path


def object_path(store, digest):
    hexadecimal = digest.removeprefix("sha256:")
    return store.root / "objects" / hexadecimal[:2] / hexadecimal


def test_an_object_is_kept_under_its_digest(store, source, tmp_path):
    digest, size = store.put_file(source)
    assert (digest, size) == (file_digest(source), 3 << 20)
    assert store.has(digest) and store.digests() == [digest] and store.size(digest) == size
    assert object_path(store, digest).read_bytes() == store.read(digest) == source.read_bytes()
    store.fetch(digest, tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == source.read_bytes()


def test_an_object_that_is_there_is_not_written_again(store, source):
    digest, _ = store.put_file(source)
    before = object_path(store, digest).stat()
    store.put_file(source)
    assert object_path(store, digest).stat().st_ino == before.st_ino


@pytest.mark.parametrize("where", [0, 1 << 20, -1])
def test_a_flipped_byte_is_refused_and_nothing_is_copied(store, source, tmp_path, where):
    digest, _ = store.put_file(source)
    path = object_path(store, digest)
    flip(path, where)
    for look in (store.read, store.check, lambda d: store.fetch(d, tmp_path / "copy")):
        with pytest.raises(IntegrityError, match=digest):
            look(digest)
    assert not (tmp_path / "copy").exists()
    assert list(tmp_path.glob(".copy*")) == []


def test_publishing_again_heals_an_object_that_rotted(store, source):
    digest, _ = store.put_file(source)
    overwrite(object_path(store, digest), b"rotten")
    store.put_file(source)
    assert store.read(digest) == source.read_bytes()


def test_a_missing_object_is_named_with_what_to_do(store):
    with pytest.raises(IntegrityError, match=f"{NOWHERE} is missing .* rollback"):
        store.read(NOWHERE)


@pytest.mark.parametrize(
    "digest", ["", "sha256:../../etc/passwd", "md5:" + "0" * 64, NOWHERE + "0"]
)
def test_a_digest_is_never_a_path(store, digest):
    with pytest.raises(BadInput, match="not a digest"):
        store.read(digest)


def test_objects_are_closed_to_writers_and_fetched_as_another_name_of_the_file(
    store, source, tmp_path
):
    told = []
    digest, size = store.put_file(source, progress=told.append)
    assert sum(told) == size
    assert object_path(store, digest).stat().st_mode & 0o222 == 0
    told.clear()
    store.fetch(digest, tmp_path / "copy", progress=told.append)
    assert sum(told) == size
    assert (tmp_path / "copy").samefile(object_path(store, digest))
    store.fetch(digest, tmp_path / "copy")  # over itself
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "source", "store"]
    store.delete(digest)
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is one file system only")
def test_another_file_system_gets_a_copy(store, source, tmp_path_factory):
    digest, _ = store.put_file(source)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    if elsewhere.parent.stat().st_dev == store.root.stat().st_dev:
        pytest.skip("there is one file system only")
    store.fetch(digest, elsewhere)
    assert elsewhere.read_bytes() == source.read_bytes()
    assert not elsewhere.samefile(object_path(store, digest))
    assert elsewhere.stat().st_mode & 0o222 == 0


def test_a_file_system_without_hard_links_gets_a_copy(store, source, tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError(errno.EPERM, "no links here")

    digest, _ = store.put_file(source)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store.fetch(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    overwrite(object_path(store, digest), b"rotten")
    with pytest.raises(IntegrityError, match=digest):
        store.fetch(digest, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_who_knows_the_digest_does_not_pay_for_reading_what_is_there(store, source):
    digest, size = store.put_file(source)
    overwrite(object_path(store, digest), b"x" * size)
    assert store.put_file(source, digest=digest) == (digest, size)
    with pytest.raises(IntegrityError):
        store.check(digest)
    store.put_file(source)  # without it the object is read, and healed
    store.check(digest)


def test_wrong_bytes_are_never_stored_under_a_digest_that_the_caller_gives(store, source):
    with pytest.raises(IntegrityError, match="changed while it was published"):
        store.put_file(source, digest=NOWHERE)
    assert store.digests() == []
    assert store.debris(before=datetime.now(UTC) + timedelta(hours=1)) == []


def test_objects_tell_their_size_and_when_they_were_written(store, source):
    before = datetime.now(UTC) - timedelta(seconds=1)
    store.put_bytes(b"mask")
    digest, size = store.put_file(source)
    found = store.objects()
    assert [each.digest for each in found] == store.digests()
    assert {each.digest: each.bytes for each in found}[digest] == size
    assert all(before < each.modified <= datetime.now(UTC) + timedelta(seconds=1) for each in found)
    assert store.sizes([digest, NOWHERE]) == {digest: size, NOWHERE: None}


def test_a_file_that_is_given_away_becomes_the_object_without_a_copy(store, tmp_path):
    given = tmp_path / "given"
    given.write_bytes(b"new vectors")
    digest, size = store.put_file(given, digest=file_digest(given), is_given=True)
    there = object_path(store, digest)
    assert (size, store.read(digest)) == (11, b"new vectors")
    assert there.stat().st_ino == given.stat().st_ino
    assert there.stat().st_mode & 0o222 == 0
    given.unlink()
    assert store.read(digest) == b"new vectors"


def test_a_file_that_is_given_away_with_another_digest_is_refused(store, tmp_path):
    given = tmp_path / "given"
    given.write_bytes(b"changed since")
    with pytest.raises(IntegrityError, match="changed while it was published"):
        store.put_file(given, digest=NOWHERE, is_given=True)
    assert store.digests() == []
    assert not list(store.root.rglob("*.tmp"))
