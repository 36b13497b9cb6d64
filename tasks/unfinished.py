"""The retrain that was begun and has not ended: what the next call continues."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from perennial.errors import BadInput, IntegrityError, PlaceUnusable, Refused
from perennial.release.channels.channel import Channel
from perennial.release.channels.served import Served
from perennial.release.manifests.canonical import parse_utc
from perennial.workspace import Workspace
from tasks.notes import write_json
from tasks.workspace import recipe

_OWED_HOLDS = timedelta(days=1)  # time enough to mend a remote; then the search must go on living


def unfinished(
    runs: Path, channel: Channel, serving: Served, *, recipe_digest: str, now: datetime
) -> Workspace | None:
    """The channel's newest workspace of these params and this code that has not ended, else None.

    Ended are those with a report whose push is not owed, or for over a day, those whose input or
    candidate was refused, those that a session was taken out of, and those whose champion's encoder
    no longer serves, unless it is their own candidate's that serves in its place. A reindex changes
    no encoder, and so ends nothing.
    """
    found = [Workspace(path.parent) for path in runs.glob("[!.]*/params.yaml")]
    found.sort(key=lambda workspace: workspace.params.stat().st_mtime_ns, reverse=True)
    for workspace in found:
        if channel_of(workspace) != channel.name:
            continue
        ended = _has_ended(workspace, channel, serving, now=now)
        if not ended and recipe(workspace.root) == recipe_digest:
            return workspace
    return None


def channel_of(workspace: Workspace) -> str | None:
    """The channel that was frozen; None where that cannot be read."""
    found = _field(workspace.snapshot / "snapshot.json", "channel")
    return None if found is None else str(found)


def mark_failed(workspace: Workspace, error: Exception) -> None:
    """Remembers a failure that the same input would meet again; a full disk is none of them."""
    if isinstance(error, BadInput | Refused | IntegrityError) and not isinstance(
        error, PlaceUnusable
    ):
        write_json(workspace.failed, {"format_version": 1, "failure": str(error)})


def forget_failure(workspace: Workspace) -> None:
    """Before it is tried again."""
    workspace.failed.unlink(missing_ok=True)


def _has_ended(workspace: Workspace, channel: Channel, serving: Served, *, now: datetime) -> bool:
    if workspace.is_concluded and not _is_lately_owed(workspace, now):
        return True
    if workspace.forgotten.exists():
        return True
    note = workspace.work("register") / "candidate.json"
    candidate, made = _field(note, "release_id"), _field(note, "lineage")
    # What the snapshot froze: the store may have swept that release since.
    champion = _field(workspace.snapshot / "champion" / "manifest.json", "lineage")
    if candidate == channel.stable or (made != champion and serving.is_full(made)):
        return False
    # A candidate that served and does not any more was rolled back: it must not come again.
    was_served = any(
        move.to == candidate or (move.lineage is not None and move.lineage == made != champion)
        for move in channel.history
    )
    if was_served and (made is None or serving.lineage != made):
        return True
    return not (serving.is_full(champion) or serving.is_bridge(champion))


def _is_lately_owed(workspace: Workspace, now: datetime) -> bool:
    try:
        since = parse_utc(_field(workspace.owed, "since"))
    except BadInput:
        return False
    return abs(now - since) < _OWED_HOLDS  # a clock may have shown a time to come


def _field(path: Path, name: str) -> Any:
    try:
        return json.loads(path.read_text())[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None
