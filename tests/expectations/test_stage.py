"""The stage as a whole: what it writes, what it leaves alone, and how it refuses bad places."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from perennial.data.schema import LOG_TABLES
from perennial.errors import BadInput, ParamsInvalid, PlaceUnusable, TableInvalid
from perennial.workspace import Workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workspace(world, tmp_path):
    return Workspace(world.write_workspace(tmp_path))


@pytest.fixture(scope="session")
def validate():
    from expectations.__main__ import validate

    return validate


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_healthy_snapshot_leaves_a_summary_and_a_page_and_nothing_else(workspace, validate):
    before = files(workspace.root)
    summary = validate(workspace)
    written = files(workspace.root)
    assert set(written) - set(before) == {
        Path("artifacts/validate/summary.json"),
        Path("artifacts/validate/profile.json"),
        *(Path(f"artifacts/validate/log/{table}.parquet") for table in LOG_TABLES),
        *(Path(f"artifacts/validate/quarantine/{table}.parquet") for table in LOG_TABLES),
        Path("work/validate/report.html"),
    }
    assert before.items() <= written.items()
    kept = json.loads((workspace.artifacts("validate") / "summary.json").read_bytes())
    assert kept == summary and kept["success"] and kept["broken"] == []
    validate(workspace)
    assert files(workspace.root) == written


def test_a_broken_snapshot_is_refused_and_a_repaired_one_goes_on(world, workspace, validate):
    validate(workspace)
    healthy = files(workspace.root)
    world.frame("catalogue").loc[3, "text"] = "🌱"
    world.frame("events").loc[3, "type"] = "hover"
    world.write_workspace(workspace.root)
    snapshot = files(workspace.snapshot)
    with pytest.raises(TableInvalid) as refusal:
        validate(workspace)
    first, catalogue, events = str(refusal.value).splitlines()
    assert first.startswith("2 of ") and first.endswith("see work/validate/report.html.")
    assert catalogue.startswith("catalogue: text must contain a letter or a digit, but 1 of 120")
    assert events.startswith("events: type must be one of click, dwell, convert, but 1 of")
    assert refusal.value.exit_code == 2
    assert not (workspace.artifacts("validate") / "summary.json").exists()
    left = json.loads((workspace.work("validate") / "summary.json").read_bytes())
    assert [each["table"] for each in left["broken"]] == ["catalogue", "events"]
    assert files(workspace.snapshot) == snapshot

    world.frame("catalogue").loc[3, "text"] = "a seedling"
    world.frame("events").loc[3, "type"] = "click"
    world.write_workspace(workspace.root)
    validate(workspace)
    assert files(workspace.root).keys() == healthy.keys()


@pytest.mark.parametrize("name", ["snapshot.json", "events.parquet"])
def test_a_missing_file_says_to_take_a_snapshot(workspace, validate, name):
    (workspace.snapshot / name).unlink()
    with pytest.raises(PlaceUnusable, match=rf"{name}: No such file .*run `perennial snapshot`"):
        validate(workspace)


def test_a_truncated_table_is_named(workspace, validate):
    path = workspace.table("impressions")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TableInvalid, match=r"impressions\.parquet is no readable parquet file"):
        validate(workspace)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format_version": 9}, "format_version 9, this version reads 1"),
        ({"window": {"start": "2026-01-05"}}, "KeyError: 'end'"),
        ({"window": {"start": "2026-01-05", "end": "2026-01-06"}}, "no span of UTC times"),
        (
            {"window": {"start": "2026-01-06T00:00:00Z", "end": "2026-01-05T00:00:00Z"}},
            "no span of UTC times",
        ),
    ],
)
def test_a_snapshot_that_cannot_be_understood_is_refused(workspace, validate, change, complaint):
    path = workspace.snapshot / "snapshot.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    with pytest.raises(BadInput, match=complaint):
        validate(workspace)


def test_a_snapshot_of_before_channels_were_written_down_is_refused_before_any_work(
    workspace, validate
):
    path = workspace.snapshot / "snapshot.json"
    about = json.loads(path.read_bytes())
    del about["channel"]
    path.write_text(json.dumps(about))
    with pytest.raises(BadInput, match=r"KeyError: 'channel'.*run `perennial snapshot`"):
        validate(workspace)


def test_a_snapshot_json_that_is_no_json_is_refused(workspace, validate):
    (workspace.snapshot / "snapshot.json").write_text("{")
    with pytest.raises(BadInput, match="is not a snapshot's description"):
        validate(workspace)


def test_a_place_that_cannot_be_written_is_named(workspace, validate):
    (workspace.root / "work").write_text("a file where a folder should be")
    with pytest.raises(PlaceUnusable, match="make the workspace writable"):
        validate(workspace)


def test_a_full_disk_is_a_sentence(workspace, validate):
    folder = workspace.work("validate")
    folder.mkdir(parents=True)
    (folder / "report.html.tmp").symlink_to("/dev/full")
    with pytest.raises(PlaceUnusable, match=r"work/validate: No space left .* free some space"):
        validate(workspace)


def test_a_misspelt_parameter_is_refused_before_anything_is_read(workspace, validate):
    text = workspace.params.read_text().replace("min_clicks:", "min_cliks:")
    workspace.params.write_text(text)
    with pytest.raises(ParamsInvalid, match=r"validate\.min_cliks .*did you mean min_clicks"):
        validate(workspace)


@pytest.mark.slow
def test_the_command_answers_with_exit_codes_and_sentences_and_keeps_the_home_clean(
    world, workspace, tmp_path
):
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "PYTHONPATH": str(ROOT)}

    def command():
        return subprocess.run(
            [sys.executable, "-m", "expectations"],
            cwd=workspace.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=500,
        )

    kept = command()
    assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", "")
    world.frame("judgements").loc[3, "grade"] = 4
    world.write_workspace(workspace.root)
    broken = command()
    assert broken.returncode == 2 and "Traceback" not in broken.stderr
    first, second = broken.stderr.splitlines()
    assert first.startswith("perennial: 1 of ")
    assert second.startswith("judgements: grade must be one of 0, 1, 2, 3, but 1 of 60 breaks it")
    assert list(home.iterdir()) == []
