"""A run made again from its own folder: the same bytes, or the stage that differs is named."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from perennial.errors import IntegrityError, Refused
from perennial.model.digest import file_digest
from perennial.release.audit import write_deed
from perennial.release.manifests.parts import Provenance
from perennial.workspace import Workspace
from tasks.repro import repro
from tasks.reproduce import forgotten, forgotten_data, rebuild, run_of
from tasks.workspace import DVC_CONFIG

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
STAGES = """\
stages:
  copy:
    cmd: python copy_it.py
    deps: [snapshot/catalogue.parquet]
    outs: [copied.txt]
  odd:
    cmd: python -c "import os; open('odd.txt', 'w').write(os.environ['ODD'])"
    deps: [copied.txt]
    outs: [odd.txt]
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A run of two stages, the second of which is a function of the environment, too."""
    root = tmp_path / "runs" / "0123456789abcdef"
    (root / ".dvc").mkdir(parents=True)
    (root / "snapshot").mkdir()
    (root / ".dvc" / "config").write_text(DVC_CONFIG.format(cache=tmp_path / "cache"))
    (root / "dvc.yaml").write_text(STAGES.replace("copy_it.py", "-c \"import shutil; "
        "shutil.copy('snapshot/catalogue.parquet', 'copied.txt')\""))  # fmt: skip
    (root / "params.yaml").write_text("{}")
    table = root / "snapshot" / "catalogue.parquet"
    table.write_text("a table")
    about = {"digests": {"catalogue": file_digest(table)}, "digest": "sha256:" + "0" * 64}
    (root / "snapshot" / "snapshot.json").write_text(json.dumps(about))
    monkeypatch.setenv("ODD", "1")
    workspace = Workspace(root)
    for stage in ("copy", "odd"):
        repro(workspace, stage, timeout_seconds=100, say=print)
    return workspace


@pytest.mark.slow
def test_it_is_identical_or_the_first_stage_that_differs_is_named(made, tmp_path, monkeypatch):
    assert rebuild(made, tmp_path / "again", say=print) == (("copy", "odd"), None)
    monkeypatch.setenv("ODD", "2")
    assert rebuild(made, tmp_path / "other", say=print) == (("copy",), "odd")
    made.table("catalogue").write_text("another table")
    with pytest.raises(IntegrityError, match="not the table that was frozen"):
        rebuild(made, tmp_path / "third", say=print)


def test_the_run_is_found_by_what_the_release_says_of_it(tmp_path, store_of_one):
    store, manifest = store_of_one
    runs = tmp_path / "runs"
    run = runs / "0123456789abcdef"
    run.mkdir(parents=True)
    (run / "dvc.lock").write_text("stages: {}")
    (run / "params.yaml").write_text("{}")
    (run / "snapshot").mkdir()
    about = {"digests": {"catalogue": "sha256:00"}}
    (run / "snapshot" / "snapshot.json").write_text(json.dumps(about))
    origin = Provenance(
        snapshot_digest="sha256:00",
        dvc_lock_digest=file_digest(run / "dvc.lock"),
        params_digest=file_digest(run / "params.yaml"),
    )
    made = replace(manifest, provenance=origin)
    assert run_of(runs, made) is None, "a table of its snapshot is gone"
    (run / "snapshot" / "catalogue.parquet").touch()
    assert run_of(runs, made).root == run
    assert forgotten(store, manifest.release_id, run_of(runs, made)) is None
    Workspace(run).forgotten.write_text("{}")
    assert "a session was taken out" in forgotten(store, manifest.release_id, Workspace(run))
    (run / "params.yaml").write_text("{a: 1}")
    assert run_of(runs, made) is None
    with pytest.raises(Refused, match="made by no retrain"):
        run_of(runs, manifest)


def test_the_audit_log_says_of_whose_snapshot_something_was_forgotten(store_of_one):
    store, manifest = store_of_one
    held = replace(manifest, provenance=Provenance(snapshot_digest="sha256:01"))
    said = {"what": "forgot a session", "why": "asked to", "who": "anna", "now": NOON, "key": None}
    write_deed(store, about={"files": 1}, **said)  # as they were written before
    write_deed(store, about={"snapshots": ["sha256:02"]}, **said)
    assert forgotten_data(store, held, key=None) is None
    assert forgotten_data(store, manifest, key=None) is None
    write_deed(store, about={"snapshots": ["sha256:02", "sha256:01"]}, **said)
    why = forgotten_data(store, held, key=None)
    assert why == "on 2026-01-05T12:00:00Z anna forgot a session that its snapshot held"


@pytest.fixture
def store_of_one(tmp_path):
    from tiny_release import publish_folders, write_folders

    from perennial.release.stores.local import LocalStore

    store = LocalStore(tmp_path / "store")
    return store, publish_folders(store, write_folders(tmp_path / "made"))
