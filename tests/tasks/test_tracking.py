"""The tracked run: one per workspace, however often continued; params, metrics and curves."""

import json
import shutil
from pathlib import Path

import pytest

from perennial.errors import BadInput
from perennial.model.health import Spread
from perennial.model.history import Pace, Step
from perennial.stages.progress import reporter
from perennial.workspace import Places, Workspace
from tasks.curves import CurveTail
from tasks.run import working_in
from tasks.tracking import flattened, log_metrics, log_params, start_run, tracker, where_to_look

pytestmark = pytest.mark.slow


@pytest.fixture
def run_id(tracking_uri: str, tracking_home: Path, tmp_path: Path) -> str:
    return begin(tracking_uri, tracking_home, tmp_path / "run.json")


def begin(uri: str, home: Path, note: Path) -> str:
    return start_run(uri, home=home, note=note, name="a run", tags={"snapshot": "sha256:00"})


def test_a_continued_run_is_the_same_run(tracking_uri, tracking_home, tmp_path):
    note = tmp_path / "run.json"
    first = begin(tracking_uri, tracking_home, note)
    tracker(tracking_uri).set_terminated(first, "FAILED")
    again = begin(tracking_uri, tracking_home, note)
    assert again == first
    assert tracker(tracking_uri).get_run(first).info.status == "RUNNING"


def test_a_run_of_another_tracker_is_not_continued(tracking_uri, tracking_home, tmp_path):
    note = tmp_path / "run.json"
    note.write_text(json.dumps({"tracker": "sha256:00", "run_id": "0" * 32}))
    assert begin(tracking_uri, tracking_home, note) != "0" * 32


def test_a_password_stays_out_of_everything_that_is_written_or_shown(tmp_path):
    uri = "https://anna:secret@mlflow.example:5000"
    environment = {"PERENNIAL_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": uri}
    places = Places.from_environment(environment)
    assert where_to_look(places.tracking_uri) == "https://mlflow.example:5000"
    assert "secret" not in repr(places)


def test_the_note_of_a_run_names_its_tracker_by_a_digest_only(
    tracking_uri, tracking_home, tmp_path
):
    note = tmp_path / "run.json"
    begin(tracking_uri, tracking_home, note)
    remembered = json.loads(note.read_text())
    assert remembered.keys() == {"format_version", "tracker", "run_id"}
    assert remembered["tracker"].startswith("sha256:")
    assert str(tracking_home) not in note.read_text()


def test_artifacts_of_a_local_tracker_lie_below_home(tracking_uri, tracking_home, run_id):
    uri = tracker(tracking_uri).get_run(run_id).info.artifact_uri
    assert uri.startswith(tracking_home.as_uri())


def test_params_are_flattened_and_metrics_keep_their_interval(tracking_uri, run_id):
    sections = {"train": {"epochs": 12}, "source": {"columns": {}}}
    log_params(tracking_uri, run_id, sections | {"gate": {"floors": {"ndcg@10": 0.1}}})
    bounds = {"value": 0.5, "low": 0.4, "high": None}
    log_metrics(tracking_uri, run_id, {"candidate": {"ndcg@10": bounds}})
    data = tracker(tracking_uri).get_run(run_id).data
    flat = {"train.epochs": "12", "source.columns": "{}", "gate.floors.ndcg_at_10": "0.1"}
    assert data.params == flat
    assert data.metrics["candidate/ndcg_at_10/value"] == 0.5
    assert "candidate/ndcg_at_10/high" not in data.metrics


def test_curves_are_followed_line_by_line_and_no_step_is_logged_twice(
    tracking_uri, run_id, tmp_path
):
    progress = tmp_path / "progress.jsonl"
    tail = CurveTail(tracking_uri, run_id, progress, warn=pytest.fail)
    tail()  # training has not begun
    lines = [json.dumps({"step": i, "epoch": 0, "loss": 1.0 / (i + 1)}) + "\n" for i in range(6)]
    progress.write_text("".join(lines[:2]) + lines[2][:5])
    tail()
    assert steps(tracking_uri, run_id) == [0, 1]
    progress.write_text("".join(lines[:4]))
    tail()
    assert steps(tracking_uri, run_id) == [0, 1, 2, 3]
    # Killed; the next process continues from the checkpoint at step 2 in a new file.
    progress.write_text("".join(lines[2:]))
    CurveTail(tracking_uri, run_id, progress, warn=pytest.fail)()
    assert steps(tracking_uri, run_id) == [0, 1, 2, 3, 4, 5]


def test_all_numbers_of_a_step_become_curves_and_what_nobody_measured_does_not(
    tracking_uri, run_id, tmp_path
):
    with (tmp_path / "progress.jsonl").open("w") as stream:
        say = reporter(stream, is_heard=False)
        seen = Spread(variance=0.9, effective_rank=12.5, similarity=0.1)
        say(Step(0, 0, 0.7, 1.0, 2.5, 0.01, spread=seen), 3, Pace(0.2, 5_000.0, 0.25))
        say(Step(1, 0, 0.6, 0.9, 2.0, 0.02), 3, None)  # told again, after a kill
        say(Step(2, 0, 0.5, 0.8, 1.5, 0.01, validation=0.4), 3, Pace(0.1, 9_000.0, 0.5))
    CurveTail(tracking_uri, run_id, tmp_path / "progress.jsonl", warn=pytest.fail)()
    points = {
        key.removeprefix("train/"): [
            (point.step, point.value)
            for point in sorted(
                tracker(tracking_uri).get_metric_history(run_id, key), key=lambda p: p.step
            )
        ]
        for key in tracker(tracking_uri).get_run(run_id).data.metrics
    }
    assert points == {
        "epoch": [(0, 0), (1, 0), (2, 0)],
        "loss": [(0, 0.7), (1, 0.6), (2, 0.5)],
        "active": [(0, 1.0), (1, 0.9), (2, 0.8)],
        "gradient_norm": [(0, 2.5), (1, 2.0), (2, 1.5)],
        "learning_rate": [(0, 0.01), (1, 0.02), (2, 0.01)],
        "validation": [(2, 0.4)],
        "variance": [(0, 0.9)],
        "effective_rank": [(0, 12.5)],
        "similarity": [(0, 0.1)],
        "seconds": [(0, 0.2), (2, 0.1)],
        "tokens_per_second": [(0, 5_000.0), (2, 9_000.0)],
        "padding_share": [(0, 0.25), (2, 0.5)],
    }


def test_a_tracker_that_is_away_for_a_while_ends_no_training_and_misses_no_step(
    tracking_uri, run_id, tmp_path
):
    progress, said = tmp_path / "progress.jsonl", []
    tail = CurveTail(tracking_uri, run_id, progress, warn=said.append)
    lines = [json.dumps({"step": i, "epoch": 0, "loss": 0.5}) + "\n" for i in range(250)]
    tracker(tracking_uri).delete_run(run_id)  # its metrics are then refused
    for upto in (100, 200):
        progress.write_text("".join(lines[:upto]))
        tail()
    assert len(said) == 1 and "curves wait for the tracker" in said[0]
    tracker(tracking_uri).restore_run(run_id)
    progress.write_text("".join(lines))
    tail()
    assert steps(tracking_uri, run_id) == list(range(250))


def steps(uri: str, run_id: str) -> list[int]:
    return sorted(point.step for point in tracker(uri).get_metric_history(run_id, "train/loss"))


def test_a_tracker_that_is_gone_at_the_end_does_not_hide_what_ended_the_run(
    tmp_path, fresh_workspace, monkeypatch
):
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "run"
    shutil.copytree(fresh_workspace, root)
    with (
        pytest.raises(BadInput, match="no click"),
        working_in(Workspace(root), "production") as run,
    ):
        tracker(run.places.tracking_uri).delete_run(run.tracked)  # it then refuses every tag
        raise BadInput("no click")
    with working_in(Workspace(root), "production") as run:
        assert tracker(run.places.tracking_uri).get_run(run.tracked).info.status == "RUNNING"


def test_a_nested_mapping_is_joined_and_an_empty_one_is_a_leaf():
    assert dict(flattened({"a": {"b": 1, "c": {}}, "d": "x"})) == {"a.b": 1, "a.c": {}, "d": "x"}
