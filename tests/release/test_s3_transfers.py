"""Large objects: in parts, in parallel, resumed after a break, verified before they count."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from lossy import CUT, FAIL, LOSE_ANSWER, LOSE_REQUEST, STALL, lossy, patience
from seaweed import open_s3

from perennial.errors import IntegrityError, PlaceUnusable
from perennial.model.digest import file_digest

pytestmark = pytest.mark.slow
PART = 5 << 20
SIZE = 3 * PART + 123  # four parts


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def proxy(s3_server):
    with lossy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def far(request, s3_store, proxy, monkeypatch):
    """A store behind the proxy: one worker, so that the order of its requests is known."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    store = open_s3(s3_store.bucket.name, attempts=2, timeout_seconds=patience(request), workers=1)
    assert store.bucket.client.meta.endpoint_url == proxy.endpoint
    return store


def parts_sent(proxy):
    return [r for r in proxy.seen if r.method == "PUT" and "partNumber=" in r.path]


def ranges_read(proxy):
    return sum(request.method == "GET" for request in proxy.seen)


def test_a_large_object_travels_in_parts_and_tells_its_progress(s3_store, source, tmp_path):
    told = []
    digest, size = s3_store.put_file(source, progress=told.append)
    assert (digest, size) == (file_digest(source), SIZE)
    assert sum(told) == SIZE and len(told) == 4
    head = s3_store.bucket.head(f"objects/{digest[7:9]}/{digest[7:]}")
    assert head["ETag"].endswith('-4"')
    told.clear()
    s3_store.fetch(digest, tmp_path / "copy", progress=told.append)
    assert (tmp_path / "copy").read_bytes() == source.read_bytes() == s3_store.read(digest)
    assert sum(told) == SIZE and len(told) >= 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "source"]
    s3_store.check(digest)


def test_an_upload_goes_on_after_a_break_with_the_parts_that_are_missing(far, proxy, source):
    proxy.times(9, LOSE_REQUEST, "PUT", "partNumber=3")
    with pytest.raises(PlaceUnusable, match="does not answer"):
        far.put_file(source)
    assert far.objects() == []
    proxy.fault = lambda request: "pass"
    proxy.seen.clear()
    told = []
    digest, _ = far.put_file(source, progress=told.append)
    sent = {request.path.partition("partNumber=")[2][0] for request in parts_sent(proxy)}
    assert {"3"} <= sent <= {"3", "4"}  # the break may have come while the last one was sent
    assert sum(told) == SIZE
    far.check(digest)


def test_a_part_that_is_there_but_wrong_is_sent_again(far, proxy, source, s3_server):
    digest = file_digest(source)
    client, place = (
        s3_server.client(),
        {"Bucket": far.bucket.name, "Key": f"store/objects/{digest[7:9]}/{digest[7:]}"},
    )
    upload = client.create_multipart_upload(ChecksumAlgorithm="SHA256", **place)["UploadId"]
    data = source.read_bytes()
    for number, part in enumerate([data[:PART], b"x" * PART, data[: PART - 1]], start=1):
        client.upload_part(
            UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm="SHA256", **place
        )
    far.put_file(source)
    assert sorted(r.path.partition("partNumber=")[2][0] for r in parts_sent(proxy)) == [
        "2",
        "3",
        "4",
    ]
    far.check(digest)


def test_a_file_that_changes_on_its_way_is_never_stored(s3_store, source):
    digest = file_digest(source)
    with source.open("r+b") as stream:
        stream.seek(2 * PART)
        stream.write(b"another writer")
    with pytest.raises(IntegrityError, match="changed while it was published"):
        s3_store.put_file(source, digest=digest)
    assert s3_store.objects() == []
    assert s3_store.debris(before=datetime.now(UTC) + timedelta(hours=1)) == []


@pytest.mark.parametrize("fault", [LOSE_ANSWER, FAIL, STALL])
@pytest.mark.parametrize("request_", ["uploads", "partNumber=2", "uploadId="])
def test_an_upload_survives_lost_answers(fault, request_, far, proxy, source):
    method = "PUT" if "part" in request_ else "POST"
    proxy.times(2, fault, method, request_)  # as many as it tries by itself
    try:
        digest, _ = far.put_file(source)
    except PlaceUnusable:
        digest, _ = far.put_file(source)
    far.check(digest)


def test_an_upload_that_another_publisher_completed_is_done(far, proxy, s3_store, source):
    """The other one runs whole between our last part and our completion."""

    def overtaken(request):
        if request.method == "POST" and "uploadId=" in request.path:
            proxy.fault = lambda request: "pass"
            s3_store.put_file(source)
        return "pass"

    proxy.fault = overtaken
    digest, _ = far.put_file(source)
    s3_store.check(digest)


def test_an_upload_that_a_sweep_removed_starts_anew(far, proxy, s3_store, source):
    def swept(request):
        if request.method == "PUT" and "partNumber=3" in request.path:
            proxy.fault = lambda request: "pass"
            s3_store.remove_debris(before=datetime.now(UTC) + timedelta(hours=1))
        return "pass"

    with pytest.raises(PlaceUnusable):
        proxy.times(2, LOSE_REQUEST, "PUT", "partNumber=2")
        far.put_file(source)
    proxy.fault = swept
    digest, _ = far.put_file(source)
    far.check(digest)


def test_a_download_goes_on_after_a_break(far, proxy, source, tmp_path):
    digest, _ = far.put_file(source)
    proxy.seen.clear()

    def third(request):
        return FAIL if request.method == "GET" and request.number >= 4 else "pass"

    proxy.fault = third
    with pytest.raises(PlaceUnusable, match="500"):
        far.fetch(digest, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    proxy.fault = lambda request: "pass"
    proxy.seen.clear()
    told = []
    far.fetch(digest, tmp_path / "copy", progress=told.append)
    assert 1 + 2 <= ranges_read(proxy) < 1 + 4  # a look, and the parts that were missing
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert sum(told) == SIZE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "source"]


def test_parts_of_a_broken_download_that_rotted_are_brought_again(far, proxy, source, tmp_path):
    digest, _ = far.put_file(source)
    proxy.seen.clear()
    proxy.fault = lambda request: FAIL if request.number >= 4 else "pass"
    with pytest.raises(PlaceUnusable):
        far.fetch(digest, tmp_path / "copy")
    proxy.fault = lambda request: "pass"
    (half,) = (path for path in tmp_path.glob(".copy*") if "parts" not in path.name)
    with half.open("r+b") as stream:
        stream.write(b"rotten")
    far.fetch(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


def test_a_body_that_breaks_off_is_read_again(far, proxy, source, tmp_path):
    digest, _ = far.put_file(source)
    small, _ = far.put_bytes(b"small" * 100)
    for wanted in (digest, small):
        proxy.times(1, CUT, "GET", wanted[7:])
        far.fetch(wanted, tmp_path / wanted[7:])
        proxy.times(1, CUT, "GET", wanted[7:])
        far.check(wanted)


def test_a_large_object_that_rotted_is_refused_by_name(s3_store, s3_server, source, tmp_path):
    digest, _ = s3_store.put_file(source)
    key = f"store/objects/{digest[7:9]}/{digest[7:]}"
    data = bytearray(source.read_bytes())
    data[-1] ^= 1
    s3_server.client().put_object(Bucket=s3_store.bucket.name, Key=key, Body=bytes(data))
    for _ in range(2):
        with pytest.raises(IntegrityError, match=f"damaged in the store.*{digest}"):
            s3_store.fetch(digest, tmp_path / "copy")
        assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_two_processes_that_fetch_one_object_do_not_meet(s3_store, source, tmp_path):
    from perennial.release.stores.partial import partial_file

    digest, size = s3_store.put_file(source)
    what = f"{digest} {size} {PART}"
    with partial_file(tmp_path / "copy", name=digest[7:23], what=what) as theirs:
        theirs.write(0, 0, b"they are not done")
        s3_store.fetch(digest, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == source.read_bytes()
        assert theirs.path.exists()


def test_what_killed_writers_left_is_found_by_its_age_and_removed(far, proxy, source, s3_store):
    proxy.times(9, LOSE_REQUEST, "PUT", "partNumber=3")
    with pytest.raises(PlaceUnusable):
        far.put_file(source)
    far.bucket.put("probes/abc", b"probe")
    now = datetime.now(UTC)
    assert s3_store.debris(before=now - timedelta(minutes=1)) == []
    digest = file_digest(source)
    later = now + timedelta(minutes=1)
    assert s3_store.debris(before=later) == [f"objects/{digest[7:9]}/{digest[7:]}", "probes/abc"]
    s3_store.remove_debris(before=later)
    assert s3_store.debris(before=later) == []
