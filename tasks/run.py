"""One retrain as its steps see it, from the moment that its workspace is there to its end."""

import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prefect.logging import get_logger

from perennial.errors import Refused
from perennial.model.digest import file_digest
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.release.stores.open import open_store
from perennial.release.stores.store import Store
from perennial.workspace import Places, Workspace
from tasks.approval import check_reviewers
from tasks.notes import write_json
from tasks.seconds import add_wall, forget_seconds
from tasks.tracking import log_params, start_run, tracker
from tasks.unfinished import forget_failure, mark_failed
from tasks.workspace import alone_in, code_commit
from tasks.world import TRACKER_ERRORS, in_words, without_password


@dataclass(frozen=True)
class Run:
    """What every step of a retrain knows: its folder, the places, the channel, the tracked run."""

    workspace: Workspace
    places: Places
    params: Params
    channel: str
    tracked: str

    @property
    def store(self) -> Store:
        return open_store(self.places.store)

    @property
    def champion_id(self) -> str:
        """The release that was stable when the snapshot was taken."""
        return str(self.read("snapshot/champion/manifest.json")["release_id"])

    @property
    def champion_lineage(self) -> str:
        """Its encoder, which stays the champion's however often it is reindexed meanwhile."""
        return str(self.read("snapshot/champion/manifest.json")["lineage"])

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
    with in_words(workspace.root, places.tracking_uri), alone_in(workspace):
        _refuse_forgotten(workspace)
        began, params = time.monotonic(), load_params(workspace.params)
        if params.gate.review == "required":
            check_reviewers(places.tracking_uri)
        forget_seconds(workspace, keep="snapshot")
        forget_failure(workspace)
        tracked = _track(workspace, places)
        add_wall(workspace, "track", time.monotonic() - began)
        uri = places.tracking_uri
        try:
            yield Run(workspace, places, params, channel, tracked)
        except Exception as error:
            with contextlib.suppress(OSError):  # which would hide what happened
                mark_failed(workspace, error)
            _end(uri, tracked, "FAILED", failure=without_password(str(error))[:5000])
            raise
        except BaseException:
            _end(uri, tracked, "KILLED")
            raise
        _end(uri, tracked, "FINISHED")


def _refuse_forgotten(workspace: Workspace) -> None:
    """A session may have been forgotten after the run was found or made, and before it was held."""
    if workspace.forgotten.exists():
        raise Refused(
            f"a session was taken out of the snapshot of {workspace.root}; start again, and remove "
            "that folder if it is found again"
        )


def _end(uri: str, tracked: str, status: str, **tags: str) -> None:
    """Tells the tracker; one that is away at this moment must not hide how the run ended."""
    try:
        for name, value in tags.items():
            tracker(uri).set_tag(tracked, name, value)
        tracker(uri).set_terminated(tracked, status)
    except (*TRACKER_ERRORS, OSError) as error:
        get_logger("tracker").warning(
            "run %s %s, but the tracker was not told: %s",
            tracked,
            status.lower(),
            without_password(str(error)),
        )


def _track(workspace: Workspace, places: Places) -> str:
    snapshot = json.loads((workspace.snapshot / "snapshot.json").read_text())
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
    return run_id
