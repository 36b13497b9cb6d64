"""One retrain as its steps see it, from the moment that its workspace is there to its end."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mlflow.exceptions import MlflowException

from perennial.errors import Refused
from perennial.model.digest import file_digest
from perennial.params import Params, load_params
from perennial.release.local import LocalStore
from perennial.workspace import Places, Workspace
from tasks.notes import write_json
from tasks.seconds import add_wall, forget_seconds
from tasks.tracking import log_params, start_run, tracker
from tasks.workspace import alone_in, code_commit


@dataclass(frozen=True)
class Run:
    """What every step of a retrain knows: its folder, the places, the channel, the tracked run."""

    workspace: Workspace
    places: Places
    params: Params
    channel: str
    tracked: str

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.places.store)

    @property
    def champion_id(self) -> str:
        """The release that was stable when the snapshot was taken."""
        return str(self.read("snapshot/champion/manifest.json")["release_id"])

    def read(self, path: str) -> dict[str, Any]:
        """A JSON file of the workspace."""
        return dict(json.loads((self.workspace.root / path).read_text()))

    def note(self, step: str, name: str, value: dict[str, Any]) -> Path:
        """Writes what a step found to work/<step>/<name>.json."""
        path = self.workspace.work(step) / f"{name}.json"
        write_json(path, {"format_version": 1, **value})
        return path


@contextmanager
def working_in(workspace: Workspace, channel: str) -> Iterator[Run]:
    """The run of this workspace, alone in it and tracked from its start to its end, good or bad."""
    places = Places.from_environment()
    with alone_in(workspace):
        began = time.monotonic()
        forget_seconds(workspace, keep="snapshot")
        tracked = _track(workspace, places)
        add_wall(workspace, "track", time.monotonic() - began)
        client = tracker(places.tracking_uri)
        try:
            yield Run(workspace, places, load_params(workspace.params), channel, tracked)
        except Exception as error:
            client.set_tag(tracked, "failure", str(error)[:5000])
            client.set_terminated(tracked, "FAILED")
            raise
        except BaseException:
            client.set_terminated(tracked, "KILLED")
            raise
        client.set_terminated(tracked, "FINISHED")


def _track(workspace: Workspace, places: Places) -> str:
    snapshot = json.loads((workspace.snapshot / "snapshot.json").read_text())
    try:
        run_id = start_run(
            places.tracking_uri,
            home=places.home,
            note=workspace.work("track") / "run.json",
            name=workspace.root.name,
            tags={
                "snapshot": snapshot["digest"],
                "params": file_digest(workspace.params),
                "workspace": str(workspace.root),
                "champion": str(snapshot["champion"]),
                "code": code_commit() or "not under git",
            },
        )
        log_params(places.tracking_uri, run_id, yaml.safe_load(workspace.params.read_text()))
    except MlflowException as error:
        raise Refused(
            f"the tracker {places.tracking_uri} does not answer: {error}; start it, or unset "
            "MLFLOW_TRACKING_URI to track in a local database."
        ) from error
    return run_id
