"""import --path s3://…: a prefix is read as a folder is, and its mistakes are sentences."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from seaweed import READERS_ACCESS_KEY

from perennial.errors import BadInput
from perennial.verbs.fetching import _PART_BYTES, brought
from perennial.workspace import Places

SLOW = pytest.mark.slow


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """A bucket of its own, where the environment leads boto3 to."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server.new_bucket()


@pytest.fixture
def put(s3_server, bucket):
    """`put(folder, "prefix")`: the folder's files as objects below the prefix."""

    def upload(folder, prefix):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder)}"
                s3_server.client().put_object(Bucket=bucket, Key=key, Body=path.read_bytes())

    return upload


@pytest.fixture
def theirs(world, tmp_path):
    """A source folder whose requests lie by day."""
    folder = world.write_source(tmp_path / "theirs")
    (folder / "truth.parquet").unlink()
    path = folder / "requests" / "part-0000.parquet"
    rows = pq.read_table(path)
    path.unlink()
    for number, day in enumerate(("2026-01-05", "2026-01-06")):
        place = folder / "requests" / f"date={day}" / "part.parquet"
        place.parent.mkdir()
        pq.write_table(rows.slice(200 * number, 200), place)
    return folder


def files(home):
    return {p.relative_to(home): p.read_bytes() for p in home.rglob("*") if p.is_file()}


@SLOW
def test_a_prefix_is_imported_as_the_same_folder_is(run, home, theirs, put, bucket, monkeypatch):
    put(theirs, "logs/eu")
    (theirs / "requests" / "_temporary").mkdir()
    (theirs / "requests" / "_temporary" / "half.parquet").write_bytes(b"half")
    put(theirs, "logs/eu")
    put(theirs.parent / "theirs" / "requests", "logs/eu/other")
    code, out, err = run("import", "parquet", "--path", f"s3://{bucket}/logs/eu/", "--json")
    assert (code, err) == (0, "")
    from_bucket = files(home)
    monkeypatch.setenv("PERENNIAL_HOME", str(home.with_name("second")))
    assert (
        json.loads(run("import", "parquet", "--path", theirs, "--json")[1])["rows"]
        == (json.loads(out)["rows"])
    )
    assert from_bucket == files(home.with_name("second")), "and nothing else is left"


@SLOW
def test_an_object_of_several_parts_comes_whole(put, bucket, tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    path = folder / "catalogue.parquet"
    text = pa.array([str(i) * 40 for i in range(100_000)])
    pq.write_table(pa.table({"text": text}), path, compression="none", use_dictionary=False)
    assert path.stat().st_size > _PART_BYTES
    put(folder, "large")
    with brought(f"s3://{bucket}/large", beside=tmp_path / "source") as found:
        assert (found / "catalogue.parquet").read_bytes() == path.read_bytes()
    assert not found.exists()


def refused(run, home, *arguments):
    before = files(home)
    code, out, err = run("import", "parquet", "--path", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("perennial: ") and err.count("\n") == 1
    assert files(home) == before
    return err


@SLOW
def test_what_is_wrong_with_a_bucket_is_one_sentence(run, home, theirs, put, bucket, monkeypatch):
    assert "there is no such bucket" in refused(run, home, "s3://no-such-bucket/logs")
    empty = refused(run, home, f"s3://{bucket}/nothing")
    assert f"s3://{bucket}/nothing holds no catalogue.parquet" in empty
    assert "correct --path" in empty
    put(theirs / "requests", "logs/requests")
    assert "holds no catalogue.parquet" in refused(run, home, f"s3://{bucket}/logs")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    assert "does not know the access key" in refused(run, home, f"s3://{bucket}/logs")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "needs credentials, and none are set" in refused(run, home, f"s3://{bucket}/logs")
    assert not home.exists()


@SLOW
def test_reading_is_all_that_an_import_may_do(run, home, theirs, put, bucket, monkeypatch):
    put(theirs, "logs")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READERS_ACCESS_KEY)
    assert run("import", "parquet", "--path", f"s3://{bucket}/logs")[0] == 0


@pytest.mark.parametrize("address", ["s3://", "s3://UPPER/logs", "gs://bucket/logs"])
def test_an_address_that_names_no_bucket_is_refused(run, home, address):
    assert "names no bucket; write s3://bucket/prefix" in refused(run, home, address)


def test_a_source_in_a_bucket_is_refused_with_the_way_to_bring_it():
    with pytest.raises(BadInput, match="import parquet --path s3://logs/eu"):
        Places.from_environment({"PERENNIAL_SOURCE": "s3://logs/eu"})
