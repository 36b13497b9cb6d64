"""What a full disk or an absent tracker does to a step: a sentence, and a retry where it helps."""

import errno
import os
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from perennial.errors import BadInput, PlaceUnusable
from perennial.params.reading import load_params
from perennial.workspace import Places, Workspace
from tasks.run import Run
from tasks.step import step
from tasks.tracking import tracker
from tasks.workspace import checkout
from tasks.world import TrackerAway, in_words, without_password

URI = "https://anna:secret@mlflow.example:5000/base"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    places = Places.from_environment({"PERENNIAL_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": URI})
    params = load_params(checkout() / "params.yaml")
    return Run(Workspace(tmp_path / "run"), places, params, "production", "tracked")


def take_step(run: Run, error: Exception) -> None:
    @step("shadow")
    def shadow(run: Run) -> None:
        raise error

    shadow.fn(run)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.ENOSPC, "is full; free some space"),
        (errno.EROFS, "is read-only"),
        (errno.EACCES, "change its permissions"),
        (errno.EIO, "look at the disk"),
    ],
)
def test_a_disk_that_refuses_is_named_with_what_to_do(run, code, says):
    with pytest.raises(PlaceUnusable, match=f"/there/file .*{says}"):
        take_step(run, OSError(code, os.strerror(code), "/there/file"))
    with pytest.raises(PlaceUnusable, match=f"{run.workspace.root} .*{says}"):
        take_step(run, OSError(code, os.strerror(code)))


@pytest.mark.parametrize(
    "error",
    [
        MlflowException(f"API request to {URI}/api failed"),
        OperationalError(f"open {URI}", None, Exception("unable to open\n database file")),
    ],
)
def test_a_tracker_that_fails_is_a_sentence_without_its_password(run, error):
    with pytest.raises(TrackerAway, match=r"https://mlflow\.example:5000/base .*start") as caught:
        take_step(run, error)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__suppress_context__  # no traceback shows the other message either


def test_our_own_failures_and_lost_connections_stay_what_they_are(run):
    for error in (BadInput("an empty log"), ConnectionResetError(errno.ECONNRESET, "reset")):
        with pytest.raises(type(error)) as caught:
            take_step(run, error)
        assert caught.value is error


def test_a_database_that_cannot_be_opened_is_told_at_once(tmp_path):
    (tmp_path / "mlflow.db").mkdir()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(PlaceUnusable, match=r"mlflow\.db"), in_words(tmp_path, uri):
        tracker(uri)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"ask {URI} again", "ask https://mlflow.example:5000/base again"),
        ("postgresql://perennial:p%40ss@db/mlflow", "postgresql://db/mlflow"),
        ("https://token@host", "https://host"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://host/a@b", "http://host/a@b"),
    ],
)
def test_only_user_and_password_are_taken_out_of_an_address(text, shown):
    assert without_password(text) == shown
