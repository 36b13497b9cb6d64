"""Building a release's encoder and index anew from what its run froze, stage by stage."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from perennial.errors import BadInput, IntegrityError, Refused
from perennial.model.digest import file_digest
from perennial.release.audit import doubted_deeds
from perennial.release.forgetting.forgotten import FORGOTTEN, read_forgotten
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.store import Store
from perennial.workspace import Workspace
from tasks.notes import write_note
from tasks.repro import repro
from tasks.workspace import CODE, DVC_CONFIG

HOURS = 12.0


@dataclass(frozen=True)
class Reproduction:
    """What came of it: `same` are the stages that gave the bytes of then, in their order, `differs`
    the first that did not, or the file of the release that is not what the stages gave."""

    release_id: str
    verdict: Literal["identical", "differs", "forgotten"]
    same: tuple[str, ...]
    differs: str | None
    reason: str


def run_of(runs: Path, manifest: Manifest) -> Workspace | None:
    """The run that made the release's encoder, None where it, or a table of its snapshot, is not
    here; raises Refused for a release that no run made."""
    origin = manifest.provenance
    if origin.snapshot_digest is None or origin.dvc_lock_digest is None:
        raise Refused(
            f"{manifest.release_id} was made by no retrain, but by bootstrap or by hand; nothing "
            "says from what, so that it cannot be made again"
        )
    for path in sorted(runs.glob("[!.]*/dvc.lock")):
        workspace = Workspace(path.parent)
        if file_digest(path) == origin.dvc_lock_digest and (
            file_digest(workspace.params) == origin.params_digest
        ):
            return workspace if workspace.forgotten.exists() or _has_tables(workspace) else None
    return None


def forgotten(store: Store, release_id: str, workspace: Workspace | None) -> str | None:
    """Why the release cannot come out as it was, where somebody had to be forgotten; else None."""
    if (record := read_forgotten(store, release_id)) is not None:
        return f"it was rewritten as {record.successor}, without something that was forgotten"
    names = (n.removeprefix(FORGOTTEN) for n in store.record_names() if n.startswith(FORGOTTEN))
    for name in names:
        if (record := read_forgotten(store, name)) is not None and record.successor == release_id:
            return f"it was written in place of {name}, without something that was forgotten"
    if workspace is not None and workspace.forgotten.exists():
        return f"a session was taken out of the snapshot of run {workspace.root.name}"
    return None


def forgotten_data(store: Store, manifest: Manifest, *, key: bytes | None) -> str | None:
    """The same, where the audit log says it of the data, on whatever machine they were."""
    for deed, _ in doubted_deeds(store, key=key):
        if manifest.provenance.snapshot_digest in deed.about.get("snapshots", ()):
            return f"on {deed.at} {deed.who} {deed.what} that its snapshot held"
    return None


def rebuild(
    workspace: Workspace, to: Path, *, say: Callable[[str], None]
) -> tuple[tuple[str, ...], str | None]:
    """Run every stage anew in `to`, with the run's own code and nothing from a cache: (the stages
    that gave the bytes of the run's dvc.lock, the first that did not or None).

    Raises IntegrityError where the snapshot is no longer what it says.
    """
    _check_snapshot(workspace)
    to.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml", ".dvcignore"):
        if (workspace.root / name).exists():
            shutil.copyfile(workspace.root / name, to / name)
    for name in ("snapshot", *(package.__name__ for package in CODE)):
        if (workspace.root / name).exists():
            shutil.copytree(workspace.root / name, to / name)
    write_note(to / ".dvc" / "config", DVC_CONFIG.format(cache=to.absolute() / ".cache"))
    then, same = _lock(workspace.root), list[str]()
    for stage in yaml.safe_load((to / "dvc.yaml").read_text(encoding="utf-8"))["stages"]:
        repro(Workspace(to), stage, timeout_seconds=HOURS * 3600, say=say)
        if _outs(_lock(to), stage) != _outs(then, stage):
            return tuple(same), stage
        same.append(stage)
    return tuple(same), None


def unlike(manifest: Manifest, built: Workspace) -> str | None:
    """The first file of the release that the stages gave with other bytes; None where none is.

    The index of a reindex, with another catalogue than the run's, is no stage's: then only the
    encoder is compared.
    """
    summary = json.loads((built.artifacts("index") / "summary.json").read_text(encoding="utf-8"))
    places = {"encoder": built.artifacts("train")}
    if summary["catalogue"]["digest"] == manifest.catalogue.digest:
        places |= dict.fromkeys(("index", "references"), built.artifacts("index"))
    for path, file in manifest.files():
        place = places.get(path.partition("/")[0])
        if place is None:
            continue
        if not (place / path).exists() or file_digest(place / path) != file.digest:
            return path
    return None


def _check_snapshot(workspace: Workspace) -> None:
    about = workspace.snapshot / "snapshot.json"
    if not about.exists():
        raise BadInput(f"{about} is missing; the run cannot be made again without its snapshot")
    for name, digest in json.loads(about.read_text(encoding="utf-8"))["digests"].items():
        if file_digest(workspace.table(name)) != digest:
            raise IntegrityError(
                f"{workspace.table(name)} is not the table that was frozen; restore it from a copy"
            )


def _has_tables(workspace: Workspace) -> bool:
    about = workspace.snapshot / "snapshot.json"
    if not about.exists():
        return False
    names = json.loads(about.read_text(encoding="utf-8"))["digests"]
    return all(workspace.table(name).exists() for name in names)


def _lock(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))["stages"])


def _outs(lock: dict[str, Any], stage: str) -> dict[str, str]:
    return {each["path"]: each["md5"] for each in lock[stage].get("outs", [])}
