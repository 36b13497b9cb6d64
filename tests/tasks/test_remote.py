"""A run in a bucket: whoever has its release finds it there, whole, and nothing else for it."""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from tiny_release import publish_folders, write_folders

from perennial.errors import BadInput, IntegrityError, Refused
from perennial.model.digest import file_digest
from perennial.params.reading import load_params
from perennial.release.manifests.parts import Provenance
from perennial.release.remote.listing import file_key
from perennial.release.remote.place import open_remote
from perennial.release.remote.runs import keep_run, pushed_runs
from perennial.release.stores.local import LocalStore
from perennial.workspace import Places, Workspace
from tasks.notes import write_json
from tasks.owed import owe_push, push, push_owed
from tasks.remote import pull, pull_run, push_run, remote_config, remote_environment
from tasks.repro import StageBroke, repro
from tasks.reproduce import rebuild
from tasks.run import Run
from tasks.workspace import DVC_CONFIG, alone_in

STAGES = """\
stages:
  copy:
    cmd: python -m perennial.copy_it
    deps: [snapshot/catalogue.parquet, perennial/copy_it.py]
    outs: [copied.txt]
"""
COPY = """\
from pathlib import Path

Path("copied.txt").write_text(Path("snapshot/catalogue.parquet").read_text() + ", copied")
"""
KEY = b"a key"
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def made(tmp_path):
    """A run of one stage, whose code, tables and champion are a line each."""
    root = tmp_path / "runs" / "0123456789abcdef"
    for path, text in {
        ".dvc/config": DVC_CONFIG.format(cache=tmp_path / "cache"),
        ".dvcignore": "__pycache__\n",
        "dvc.yaml": STAGES,
        "params.yaml": "{}",
        "perennial/copy_it.py": COPY,
        "expectations/__init__.py": "",
        "snapshot/catalogue.parquet": "a table",
        "snapshot/champion/encoder/weights": "numbers",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    table = file_digest(root / "snapshot" / "catalogue.parquet")
    about = {"digests": {"catalogue": table}, "digest": "sha256:" + "0" * 64}
    (root / "snapshot" / "snapshot.json").write_text(json.dumps(about))
    repro(Workspace(root), "copy", timeout_seconds=100, say=print)
    return Workspace(root)


@pytest.fixture
def release(made, tmp_path):
    """The manifest of a release that says it came of the run."""
    store = LocalStore(tmp_path / "store")
    origin = Provenance(
        snapshot_digest="sha256:" + "0" * 64,
        dvc_lock_digest=file_digest(made.root / "dvc.lock"),
        params_digest=file_digest(made.params),
    )
    return replace(publish_folders(store, write_folders(tmp_path / "made")), provenance=origin)


def run_in(workspace):
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    return Run(workspace, Places.from_environment(), params, "production", "no run of a tracker")


@pytest.mark.slow
def test_a_run_that_was_pushed_is_made_again_where_nothing_of_it_is(
    made, release, tmp_path, s3_store, s3_server, monkeypatch
):
    monkeypatch.setenv("PERENNIAL_SIGNING_KEY", KEY.decode())
    monkeypatch.setenv("PERENNIAL_S3_SSE", "AES256")
    address = f"s3://{s3_server.new_bucket()}/below/dvc"
    monkeypatch.delenv("PERENNIAL_DVC_REMOTE", raising=False)
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / "home"))
    with disable_run_logger():
        made.owed.parent.mkdir(parents=True)
        made.owed.write_text("{}")
        owe_push(run_in(made), now=NOW)
        assert not made.owed.exists(), "nobody is owed what has no place any more"
        assert not push.fn(run_in(made)), "without a remote nothing is done"
        assert not (made.root / "snapshot.dvc").exists()
        monkeypatch.setenv("PERENNIAL_DVC_REMOTE", address)
        owe_push(run_in(made), now=NOW)
        owe_push(run_in(made), now=NOW + timedelta(days=2))  # as it is continued
        assert json.loads(made.owed.read_text())["since"] == "2026-01-05T12:00:00Z"
        assert made.owed.exists() and not made.is_over, "who dies now is continued"
        assert push.fn(run_in(made))
        assert not made.owed.exists()
    keys = {row["Key"] for row in open_remote(address).list("")}
    push_run(made, address, say=print)  # again, as after a kill
    assert {row["Key"] for row in open_remote(address).list("")} == keys
    head = open_remote(address).head(next(each for each in keys if each.startswith("files/md5")))
    assert head["ServerSideEncryption"] == "AES256"

    made.root.rename(tmp_path / "lost")
    (tmp_path / "cache").rename(tmp_path / "lost too")
    with disable_run_logger():
        pulled = pull.fn(release, address, tmp_path / "elsewhere")
    for path in ("snapshot/snapshot.json", "snapshot/champion/encoder/weights", "dvc.lock"):
        assert (pulled.root / path).read_bytes() == (tmp_path / "lost" / path).read_bytes()
    assert not (pulled.root / "copied.txt").exists(), "what stages make is not asked for"
    assert rebuild(pulled, tmp_path / "again", say=print) == (("copy",), None)
    for config in (tmp_path / "elsewhere").glob(".dvc/config*"):
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in config.read_text()

    other = replace(release, provenance=replace(release.provenance, params_digest="sha256:00"))
    with pytest.raises(IntegrityError, match=r"params\.yaml of run 0123456789abcdef"):
        pull_run(other, address, tmp_path / "other", say=print)
    other = replace(release, provenance=replace(release.provenance, dvc_lock_digest="sha256:00"))
    with pytest.raises(Refused, match="neither here nor in s3://"):
        pull_run(other, address, tmp_path / "other", say=print)
    monkeypatch.setenv("PERENNIAL_SIGNING_KEY", "another key")
    with pytest.raises(IntegrityError, match="signature of another key"):
        pull_run(release, address, tmp_path / "other", say=print)


@pytest.mark.slow
def test_what_earlier_runs_owe_goes_with_the_next_push(
    made, tmp_path, s3_store, s3_server, monkeypatch
):
    def owing(name: str, *, channel: str = "production") -> Workspace:
        found = Workspace(shutil.copytree(made.root, made.root.parent / name))
        write_json(found.owed, {"since": "2026-01-05T12:00:00Z"})
        about = json.loads((found.snapshot / "snapshot.json").read_text())
        write_json(found.snapshot / "snapshot.json", about | {"channel": channel})
        with (found.root / "dvc.lock").open("a") as lock:
            lock.write(f"# {name}\n")
        return found

    broken, forgotten, held, whole = (owing(digit * 16) for digit in "1234")
    other = owing("5" * 16, channel="staging")
    shutil.rmtree(broken.root / "expectations")
    forgotten.forgotten.write_text("{}")
    address = f"s3://{s3_server.new_bucket()}/dvc"
    monkeypatch.setenv("PERENNIAL_DVC_REMOTE", address)
    monkeypatch.setenv("PERENNIAL_RUNS", str(made.root.parent))
    with disable_run_logger(), alone_in(held):
        assert push.fn(run_in(made))
        push_owed.fn(run_in(made).places, "production")
    names = {run.name for run in pushed_runs(open_remote(address), key=None)}
    assert names == {made.root.name, whole.root.name}
    assert not whole.owed.exists()
    assert not forgotten.owed.exists(), "a session left it: nobody may be given it"
    assert broken.owed.exists() and held.owed.exists() and other.owed.exists()


@pytest.mark.slow
def test_a_run_whose_outs_are_lost_is_not_said_to_be_there(made, tmp_path, s3_store, s3_server):
    shutil.rmtree(tmp_path / "cache")  # the outs' only copies that DVC takes
    address = f"s3://{s3_server.new_bucket()}/dvc"
    with pytest.raises(StageBroke, match=r"had not all that it names.*neither locally"):
        push_run(made, address, say=print)
    assert list(pushed_runs(open_remote(address), key=None)) == []


@pytest.mark.slow
def test_bytes_that_are_not_those_of_then_are_not_run(made, release, tmp_path, s3_store, s3_server):
    address = f"s3://{s3_server.new_bucket()}/dvc"
    push_run(made, address, say=print)
    remote = open_remote(address)
    (code,) = [
        row["Key"] for row in remote.list("files/") if remote.get(row["Key"])[0] == COPY.encode()
    ]
    remote.put(code, COPY.replace("Path", "PATH").encode())
    with pytest.raises(StageBroke, match="`dvc pull`"):
        pull_run(release, address, tmp_path / "elsewhere", say=print)
    assert not (tmp_path / "elsewhere" / "perennial" / "copy_it.py").exists()


def other_code(remote, run):
    """The folder whose one file does something else, put where DVC looks for it."""
    data = COPY.replace("write_text", "touch").encode()
    code = md5(data).hexdigest()
    remote.put(file_key(code), data)
    listing = json.dumps([{"md5": code, "relpath": "copy_it.py"}]).encode()
    folder = f"{md5(listing).hexdigest()}.dir"
    remote.put(file_key(folder), listing)
    return listing, replace(run, folders=run.folders | {"perennial": folder})


@pytest.mark.slow
def test_a_listing_or_a_record_that_somebody_wrote_anew_runs_nothing(
    made, release, tmp_path, s3_store, s3_server
):
    address = f"s3://{s3_server.new_bucket()}/dvc"
    push_run(made, address, say=print)
    remote, to = open_remote(address), tmp_path / "elsewhere"
    (run,) = pushed_runs(remote, key=None)
    listing, other = other_code(remote, run)

    then, _ = remote.get(file_key(run.folders["perennial"]))
    remote.put(file_key(run.folders["perennial"]), listing)
    with pytest.raises(IntegrityError, match=r"listing .*\.dir in s3://.* not what its name says"):
        pull_run(release, address, to, say=print)
    assert not (to / "perennial").exists()
    remote.put(file_key(run.folders["perennial"]), then)

    keep_run(remote, other, key=None)
    with pytest.raises(IntegrityError, match=r"perennial/copy_it\.py of run 0123456789abcdef"):
        pull_run(release, address, to, say=print)
    stages = STAGES.replace("copy_it\n", "copy_it && true\n")
    keep_run(remote, replace(run, settings=run.settings | {"dvc.yaml": stages}), key=None)
    with pytest.raises(IntegrityError, match=r"^copy of run 0123456789abcdef"):
        pull_run(release, address, to, say=print)
    assert not (to / "perennial").exists()

    more = json.dumps([*json.loads(then), {"md5": md5(b"1").hexdigest(), "relpath": "shutil.py"}])
    remote.put(file_key(md5(b"1").hexdigest()), b"1")
    folder = f"{md5(more.encode()).hexdigest()}.dir"
    remote.put(file_key(folder), more.encode())
    keep_run(remote, replace(run, folders=run.folders | {"perennial": folder}), key=None)
    assert pull_run(release, address, to, say=print).root == to
    assert [each.name for each in (to / "perennial").iterdir()] == ["copy_it.py"]


@pytest.mark.slow
def test_a_remote_that_is_not_there_is_told_in_a_sentence(
    made, release, s3_store, tmp_path, monkeypatch
):
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PERENNIAL_DVC_REMOTE", "s3://nobody-made-this-bucket/dvc")
    told = r"`dvc push` in .* failed: .*PERENNIAL_DVC_REMOTE"
    owe_push(run_in(made), now=NOW)
    with disable_run_logger(), pytest.raises(StageBroke, match=told):
        push.fn(run_in(made))
    assert made.owed.exists(), "the same call continues it"
    with pytest.raises(BadInput, match="PERENNIAL_DVC_REMOTE"):
        pull_run(release, "/a/folder", tmp_path / "elsewhere", say=print)


def test_dvc_is_told_how_to_encrypt_and_is_given_no_key(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    monkeypatch.setenv("PERENNIAL_S3_SSE", "aws:kms")
    monkeypatch.setenv("PERENNIAL_S3_KMS_KEY_ID", "a-key-of-ours")
    said = remote_config("s3://bucket/dvc")
    assert "sse = aws:kms" in said and "sse_kms_key_id = a-key-of-ours" in said
    assert "secret" not in said and "verify = true" in said


def test_a_settings_file_that_is_none_is_not_handed_on(tmp_path):
    there = tmp_path / "config"
    there.touch()
    told = {"AWS_CONFIG_FILE": str(there), "AWS_REGION": "eu-west-1"}
    assert remote_environment(told)["AWS_CONFIG_FILE"] == str(there)
    assert "AWS_CONFIG_FILE" not in remote_environment(told | {"AWS_CONFIG_FILE": os.devnull})
    assert Path(os.devnull).exists()
