"""What stands in a store at a glance, for people and for programs."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perennial.errors import PerennialError
from perennial.release.channel import Channel
from perennial.release.manifest import read_manifest
from perennial.release.publish import read_checked_channel
from perennial.release.store import Store


def overview(store: Store, channel_name: str, *, key: bytes | None) -> dict[str, Any]:
    """The channel as stored, every release newest first, and unfinished publications, as JSON."""
    channel = read_checked_channel(store, channel_name, key=key)
    releases = [_release(store, release_id, channel, key) for release_id in store.release_ids()]
    releases.sort(key=lambda row: (row["created_at"] or "", row["release_id"]), reverse=True)
    return {
        "format_version": 1,
        "name": channel_name,
        "channel": None if channel is None else json.loads(channel.to_bytes()),
        "releases": releases,
        "pending": store.pending_ids(),
    }


def show(view: dict[str, Any], console: Console) -> None:
    """Print the overview for a person."""
    channel = view["channel"]
    if channel is None:
        console.print(f"{view['name']} serves nothing yet; run `perennial bootstrap`.")
    else:
        console.print(f"{view['name']} serves {channel['stable']} (move {channel['generation']})")
        last = channel["history"][-1] if channel["history"] else None
        if last:
            console.print(Text(f"since {last['at']}, by {last['who']}: {last['why']}"))
        if channel["candidate"]:
            console.print(f"rolling out {channel['candidate']['release_id']}")
        if channel["hold"]:
            since, reason = channel["hold"]["since"], channel["hold"]["reason"]
            console.print(Text(f"ON HOLD since {since} ({reason})", style="bold yellow"))
            console.print("`perennial resume --reason '...'` ends it.")
    if view["releases"]:
        table = Table("release", "role", "lineage", "made", "documents", "catalogue of")
        table.columns[0].no_wrap = True  # people copy it
        for row in view["releases"]:
            role = " ".join(filter(None, (row["role"], "bridged" if row["bridge"] else None)))
            cells = [row["release_id"], role, (row["lineage"] or "")[7:15]]
            cells += [_minute(row["created_at"]) or "damaged", str(row["documents"] or "")]
            table.add_row(*cells, _minute(row["watermark"]) or "run `perennial verify`")
        console.print(table)
    if view["pending"]:
        console.print(f"{len(view['pending'])} publications are unfinished: {view['pending']}")


def _minute(time: str | None) -> str:
    return (time or "")[:16].replace("T", " ")


def _release(
    store: Store, release_id: str, channel: Channel | None, key: bytes | None
) -> dict[str, Any]:
    role = None
    if channel is not None:
        candidate = channel.candidate.release_id if channel.candidate else None
        role = {channel.stable: "stable", candidate: "candidate"}.get(release_id)
    row: dict[str, Any] = {"release_id": release_id, "role": role, "problem": None}
    try:
        found = read_manifest(store.manifest_bytes(release_id), release_id=release_id, key=key)
    except PerennialError as error:
        unknown = dict.fromkeys(
            ("lineage", "parent", "created_at", "documents", "watermark", "bridge")
        )
        return row | unknown | {"problem": str(error)}
    bridge = None
    if found.bridge is not None:
        bridge = {"index_encoder": found.index_encoder, "recall": found.bridge.recall.value}
    return row | {
        "lineage": found.lineage,
        "parent": found.parent,
        "created_at": found.created_at,
        "documents": found.catalogue.documents,
        "watermark": found.catalogue.watermark,
        "bridge": bridge,
    }
