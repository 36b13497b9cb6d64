"""The retrain that was begun and has not ended: what the next call continues."""

import json
from pathlib import Path
from typing import Any

from perennial.errors import BadInput, IntegrityError, PlaceUnusable, Refused
from perennial.release.channel import Channel
from perennial.workspace import Workspace
from tasks.notes import write_json
from tasks.workspace import recipe


def unfinished(runs: Path, channel: Channel, *, recipe_digest: str) -> Workspace | None:
    """The newest workspace of these params and this code that has not ended, None without one.

    Ended are those with a report, those whose input or candidate was refused, and those whose
    champion no longer serves, unless it is their own candidate that serves in its place.
    """
    found = [Workspace(path.parent) for path in runs.glob("[!.]*/params.yaml")]
    found.sort(key=lambda workspace: workspace.params.stat().st_mtime_ns, reverse=True)
    for workspace in found:
        if not _has_ended(workspace, channel) and recipe(workspace.root) == recipe_digest:
            return workspace
    return None


def mark_failed(workspace: Workspace, error: Exception) -> None:
    """Remembers a failure that the same input would meet again; a full disk is none of them."""
    if isinstance(error, BadInput | Refused | IntegrityError) and not isinstance(
        error, PlaceUnusable
    ):
        write_json(_mark(workspace), {"format_version": 1, "failure": str(error)})


def forget_failure(workspace: Workspace) -> None:
    """Before it is tried again."""
    _mark(workspace).unlink(missing_ok=True)


def _has_ended(workspace: Workspace, channel: Channel) -> bool:
    summary = workspace.work("report") / "summary.json"
    if summary.exists() or _mark(workspace).exists():
        return True
    candidate = _field(workspace.work("register") / "candidate.json", "release_id")
    champion = _field(workspace.snapshot / "snapshot.json", "champion")
    if _is_continued(channel, candidate):
        return False
    # A candidate that served and does not any more was rolled back: it must not come again.
    if candidate in {move.to for move in channel.history}:
        return True
    return not _is_continued(channel, champion)


def _is_continued(channel: Channel, release_id: str | None) -> bool:
    """True where stable is this release, or what reindexes made of it: the same encoder."""
    if release_id == channel.stable:
        return True
    lineages = {move.to: move.lineage for move in channel.history}
    served = lineages.get(channel.stable)
    return served is not None and lineages.get(release_id or "") == served


def _mark(workspace: Workspace) -> Path:
    return workspace.work("track") / "failed.json"


def _field(path: Path, name: str) -> Any:
    try:
        return json.loads(path.read_text())[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None
