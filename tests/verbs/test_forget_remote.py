"""What was forgotten is in no version of any object: neither of DVC's remote nor of the store."""

import json
import os
import tempfile
from datetime import UTC, datetime
from hashlib import md5, sha256

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_release import publish_folders, write_folders

from perennial.data.schema import REQUESTS
from perennial.errors import PlaceUnusable
from perennial.release.audit import read_deeds
from perennial.release.publishing.publish import promote
from perennial.release.remote.copies import Copies, fetched
from perennial.release.remote.place import open_remote
from perennial.release.remote.runs import PushedRun, keep_run, pushed_runs
from perennial.release.stores.open import open_store
from perennial.verbs.forgetting.named import digests_apart, to_look_into
from perennial.verbs.forgetting.remote import unseen
from perennial.verbs.freezing.sessions import pseudonym

pytestmark = pytest.mark.slow
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
GONE, STAYS = (pseudonym(each, b"a key of sessions") for each in ("visitor-17", "visitor-18"))
OWN, SHARED = "where does anna keep her notes", "sort an array"
SNAPSHOTS = ["sha256:" + sha256(each).hexdigest() for each in (b"with it", b"without it")]
RUN = {"format_version": 1, "settings": {}, "name": "0123456789abcdef"}
WEIGHTS = (300).to_bytes(8, "little") + b'{"a": 1}'.ljust(300) + OWN.encode()  # by chance


def request(session, number, query):
    row = dict.fromkeys(("channel", "arm", "release_id"), "stable")
    row |= {"n_results": 1, "latency_ms": 1.0, "explored": False, "query": query, "ts": NOON}
    return row | {"request_id": f"{session[:4]}-request-{number}", "session_id": session}


def parquet(table):
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream)
    return stream.getvalue().to_pybytes()


def requests(*rows):
    return parquet(pa.Table.from_pylist([request(*row) for row in rows], schema=REQUESTS))


class Remote:
    """A bucket that keeps versions, with the files of two runs as DVC calls them."""

    def __init__(self, address):
        self.bucket = open_remote(address)

    def push(self, data, suffix=""):
        name = md5(data).hexdigest() + suffix
        self.bucket.put(f"files/md5/{name[:2]}/{name[2:]}", data)
        return name

    def push_run(self, number, **files):
        listing = [
            {"md5": self.push(data), "relpath": name} for name, data in sorted(files.items())
        ]
        code = [each for each in listing if each["relpath"] == "code"]
        folder, of_code = (
            self.push(json.dumps(rows).encode(), ".dir")
            for rows in ([each for each in listing if each not in code], code)
        )
        folders = {"snapshot": folder, "perennial": of_code, "expectations": of_code}
        lock = "sha256:" + f"{number}" * 64
        keep_run(
            self.bucket,
            PushedRun(lock=lock, snapshot=SNAPSHOTS[number], folders=folders, **RUN),
            key=None,
        )

    def holding(self, *sought):
        return [key for key, data in self.versions() if any(each in data for each in sought)]

    def versions(self):
        found = list(self.bucket.versions(""))
        assert all("VersionId" in row for row in found)
        for row in found:
            answer = self.bucket.call("get_object", row["Key"], VersionId=row["VersionId"])
            yield row["Key"], answer["Body"].read()


@pytest.fixture
def remote(home, s3_store, s3_server, monkeypatch):
    monkeypatch.setenv("PERENNIAL_STORE", f"s3://{s3_server.new_bucket(versioned=True)}/store")
    address = f"s3://{s3_server.new_bucket(versioned=True)}/dvc"
    monkeypatch.setenv("PERENNIAL_DVC_REMOTE", address)
    remote = Remote(address)
    said = requests((GONE, 0, OWN), (GONE, 1, SHARED), (STAYS, 2, SHARED))
    remote.push_run(0, requests=said, encoder=WEIGHTS)
    remote.push_run(1, requests=requests((STAYS, 3, "another thing")), encoder=WEIGHTS)
    remote.push(f"<td>{OWN}</td>".encode())
    old = remote.push(requests((GONE, 4, SHARED)))  # as `dvc gc --cloud` leaves it
    remote.bucket.call("delete_object", f"files/md5/{old[:2]}/{old[2:]}")
    assert len(remote.holding(GONE.encode())) == 2
    return remote


def test_a_session_that_only_the_remote_still_has_goes_in_every_version(remote, run, tmp_path):
    store, folders = open_store(os.environ["PERENNIAL_STORE"]), write_folders(tmp_path / "made")
    pq.write_table(pa.table({"query": [SHARED, OWN]}), folders.references / "queries.parquet")
    old = publish_folders(store, folders).release_id
    promote(store, "production", old, now=NOON, why="first", who="test")

    before = sorted(remote.versions())
    code, out, err = run("forget", "--session", GONE, "--dry-run", "--json")
    assert code == 0, err
    assert json.loads(out)["removed"]["DVC remote"] == {"files": 3, "rows": 3}
    assert sorted(remote.versions()) == before

    code, out, err = run("forget", "--session", GONE, "--json")
    assert code == 0, err
    assert json.loads(out)["removed"]["DVC remote"] == {"files": 3, "rows": 3}
    assert remote.holding(GONE.encode()) == []
    left = [data for _, data in remote.versions()]
    assert WEIGHTS in left, "numbers that happen to spell a query"
    assert not any(OWN.encode() in data for data in left if data != WEIGHTS)
    assert requests((STAYS, 3, "another thing")) in left
    assert {each.snapshot for each in pushed_runs(remote.bucket, key=None)} == set(SNAPSHOTS)
    (deed,) = read_deeds(store, key=None)
    assert deed.about["snapshots"] == [SNAPSHOTS[0]]

    bucket = Remote(os.environ["PERENNIAL_STORE"])
    assert bucket.holding(OWN.encode()) == [], "the references of the old release"
    assert store.read_channel("production").stable != old
    assert run("verify")[0] == 0
    code, out, _ = run("forget", "--session", GONE)
    assert (code, "Nothing of it was found" in out) == (0, True)


def test_a_document_goes_from_the_remote_too_and_its_snapshots_are_told(remote, run, tmp_path):
    store = open_store(os.environ["PERENNIAL_STORE"])
    made = publish_folders(store, write_folders(tmp_path / "made", tag="first"))
    promote(store, "production", made.release_id, now=NOON, why="first", who="test")
    catalogue = parquet(pa.table({"doc_id": ["first-7", "first-8"], "text": ["a", "b"]}))
    remote.push_run(1, catalogue=catalogue)
    code, out, err = run("forget", "--doc", "first-7", "--json")
    assert code == 0, err
    assert json.loads(out)["pushed"] == 1
    assert catalogue not in [data for _, data in remote.versions()]
    of_releases, of_remote = read_deeds(store, key=None)
    assert (of_releases.about["snapshots"], of_remote.about["snapshots"]) == ([], [SNAPSHOTS[1]])


def test_who_dies_while_he_erases_has_said_what(remote, run, tmp_path, monkeypatch):
    store = open_store(os.environ["PERENNIAL_STORE"])
    made = publish_folders(store, write_folders(tmp_path / "made", tag="first"))
    promote(store, "production", made.release_id, now=NOON, why="first", who="test")
    remote.push_run(1, catalogue=parquet(pa.table({"doc_id": ["first-7"], "text": ["a"]})))

    def away(self, key):
        raise PlaceUnusable("the bucket is away")

    with monkeypatch.context() as patch:
        patch.setattr(Copies, "erase", away)
        assert run("forget", "--doc", "first-7")[0] != 0
    assert [each.about["snapshots"] for each in read_deeds(store, key=None)] == [[], [SNAPSHOTS[1]]]


def test_no_key_chooses_where_a_copy_lies(remote):
    remote.bucket.put("a" * 300, b"longer than the name of a file may be")
    with fetched(remote.bucket, numbers=True) as copies:
        assert copies.folder.stat().st_mode & 0o777 == 0o700
        assert {path.parent for path in copies.keys} == {copies.folder}
        (path,) = [path for path, key in copies.keys.items() if key == "a" * 300]
        assert path.read_bytes() == b"longer than the name of a file may be"
    assert not copies.folder.exists()


def test_copies_of_one_that_was_killed_go_with_the_next(remote, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "perennial-remote-killed"
    left.mkdir()
    with fetched(remote.bucket, numbers=False):
        assert not left.exists()


def test_what_is_pushed_meanwhile_is_told(remote):
    with fetched(remote.bucket, numbers=False) as copies:
        assert unseen(copies) == ()
        copies.erase(next(iter(copies.keys)))
        assert unseen(copies) == ()
        name = remote.push(b"of a push that was at work")
        (said,) = unseen(copies)
    assert said.startswith(f"{remote.bucket.place}/files/md5/{name[:2]}/{name[2:]} came meanwhile")


def test_a_query_of_one_word_takes_no_code_and_no_record_along(remote):
    remote.push_run(0, code=b'KIND = "search"', requests=b"<td>search</td>")
    with fetched(remote.bucket, numbers=False) as copies:
        apart = digests_apart([], [], copies, key=None)
        told = {path.read_bytes() for path in to_look_into(copies, apart)}
    assert b"<td>search</td>" in told and b'KIND = "search"' not in told
    assert not any(b'"format_version"' in each or b'"relpath"' in each for each in told)


def test_without_a_remote_nothing_of_it_is_asked(remote, run, monkeypatch):
    monkeypatch.delenv("PERENNIAL_DVC_REMOTE")
    code, out, _ = run("forget", "--session", GONE, "--json")
    assert code == 0 and "DVC remote" not in json.loads(out)["removed"]
    assert remote.holding(GONE.encode())
