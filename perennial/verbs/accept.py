"""Remember a log that validate accepted: the next snapshot is compared with it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perennial.errors import BadInput
from perennial.release.accepted import Profiled, accept
from perennial.release.manifests.canonical import parse_utc
from perennial.release.stores.store import Store
from perennial.verbs.freezing.reference import REFERENCE, log_digest
from perennial.workspace import Workspace


@dataclass(frozen=True)
class Acceptance:
    """The accepted snapshot, its window's end, and whether no later log was accepted before."""

    snapshot: str
    end: str
    is_newest: bool

    @property
    def sentence(self) -> str:
        """What became of it."""
        which = f"the log of snapshot {self.snapshot[7:19]}, to {self.end[:10]}"
        if self.is_newest:
            return f"{which}, was accepted: the next snapshot is compared with it"
        return f"{which}, was accepted, but a later one is already remembered and stays"


def accept_log(workspace: Workspace, store: Store, channel: str) -> Acceptance:
    """Remember the workspace's log in the store; raises BadInput unless validate accepted it."""
    snapshot = _read(workspace.snapshot / "snapshot.json", remedy="perennial snapshot")
    before = _read(workspace.snapshot / REFERENCE, remedy="perennial snapshot")
    folder = workspace.artifacts("validate")
    profile = _read(folder / "profile.json", remedy="dvc repro validate")
    summary = _read(folder / "summary.json", remedy="dvc repro validate")
    if not summary.get("success") or profile.get("snapshot") != snapshot["digest"]:
        raise BadInput(
            f"validate has not accepted snapshot {snapshot['digest'][7:19]}, only "
            f"{str(profile.get('snapshot'))[7:19]}; run `dvc repro validate` first"
        )
    is_newest = accept(
        store,
        channel,
        snapshot=snapshot["digest"],
        profile=profile,
        log=log_digest(snapshot["digests"]),
        end=parse_utc(snapshot["window"]["end"]),
        before=None
        if before["profile"] is None
        else Profiled(before["snapshot"], before["profile"]),
    )
    return Acceptance(snapshot["digest"], snapshot["window"]["end"], is_newest)


def _read(path: Path, *, remedy: str) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise BadInput(f"{path} is not there; run `{remedy}` first") from None
    except ValueError as error:
        raise BadInput(f"{path} is no JSON object ({error}); run `{remedy}` again") from error
