"""accept: a person without the flow remembers a log that validate accepted, and only such a one."""

import json

import pyarrow.parquet as pq
import pytest

from perennial.release.accepted import read_accepted
from perennial.release.stores.local import LocalStore

RECORD = "accepted/production"


@pytest.fixture
def validated(running, run, tmp_path):
    """A snapshot and, as validate leaves them, the files of an accepted log."""
    assert run("snapshot")[0] == 0
    digest = json.loads((tmp_path / "snapshot" / "snapshot.json").read_bytes())["digest"]
    folder = tmp_path / "artifacts" / "validate"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"success": True}))
    (folder / "profile.json").write_text(json.dumps({"requests": 3, "snapshot": digest}))
    return folder


def remembered(home):
    return read_accepted(LocalStore(home / "store"), "production")


def test_an_accepted_log_is_remembered_and_the_same_snapshot_stays_the_same(
    running, run, validated, tmp_path
):
    before = {path: path.read_bytes() for path in (tmp_path / "snapshot").glob("*.json")}
    code, out, _ = run("accept")
    assert code == 0 and "was accepted: the next snapshot is compared with it" in out
    assert remembered(running).newest.profile["requests"] == 3
    run("snapshot")
    assert {path: path.read_bytes() for path in before} == before
    code, out, _ = run("accept", "--json")
    assert (code, json.loads(out)["is_newest"]) == (0, True)


def test_another_reference_makes_another_snapshot(running, run, validated, tmp_path):
    run("accept")
    place = tmp_path / "snapshot"
    before = json.loads((place / "snapshot.json").read_bytes())
    assert json.loads((place / "accepted.json").read_bytes())["profile"] is None
    path = running / "source" / "requests" / "part-0000.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    run("snapshot")
    assert json.loads((place / "accepted.json").read_bytes()) == {
        "format_version": 1,
        "snapshot": before["digest"],
        "profile": {"requests": 3, "snapshot": before["digest"]},
    }
    after = json.loads((place / "snapshot.json").read_bytes())
    store = LocalStore(running / "store")
    store.swap_record(RECORD, store.read_record(RECORD), None)
    run("snapshot")
    alone = json.loads((place / "snapshot.json").read_bytes())
    assert alone["digests"] == after["digests"] and alone["digest"] != after["digest"]


def test_a_log_that_nobody_validated_is_no_reference(running, run, validated):
    (validated / "profile.json").write_text(json.dumps({"snapshot": "sha256:" + "0" * 64}))
    code, _, err = run("accept")
    assert code == 2 and "run `dvc repro validate` first" in err
    (validated / "profile.json").unlink()
    code, _, err = run("accept")
    assert code == 2 and "profile.json is not there; run `dvc repro validate` first" in err
    assert remembered(running) is None


def test_a_damaged_record_stops_a_snapshot_with_its_name(running, run):
    LocalStore(running / "store").swap_record(RECORD, None, b"[")
    code, _, err = run("snapshot")
    assert code == 3 and "the record of the last accepted log of production is not JSON" in err
