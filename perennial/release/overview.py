"""What stands in a store at a glance, for people and for programs."""

import json
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perennial.errors import PerennialError
from perennial.release.channels.channel import Channel
from perennial.release.channels.moves import read_checked_channel
from perennial.release.manifests.manifest import read_manifest
from perennial.release.publishing.pins import SWEEP
from perennial.release.stores.store import Store


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
        "sweeping": store.read_record(SWEEP) is not None,
    }


def show(view: dict[str, Any], console: Console) -> None:
    """Print the overview for a person."""
    channel = view["channel"]
    if channel is None:
        console.print(f"{view['name']} serves nothing yet; run `perennial bootstrap`.")
    else:
        console.print(f"{view['name']} serves {channel['stable']} (move {channel['generation']})")
        if any(row["bridge"] for row in view["releases"] if row["role"] == "stable"):
            console.print("it is bridged: a new encoder asks the index of the one before it")
        for row in view["releases"]:
            if row["role"] and row["waiting"]:
                console.print(
                    f"{row['waiting']:,} documents of {row['release_id']} wait for their vectors "
                    "and are found by their words; `python -m flows.reindex` embeds them",
                    soft_wrap=True,
                )
        last = channel["history"][-1] if channel["history"] else None
        if last:
            console.print(Text(f"since {last['at']}, by {last['who']}: {last['why']}"))
        for move in channel["history"]:
            if move.get("forced"):
                said = f"FORCED past the gate on {move['at']} by {move['who']}: {move['to']} "
                told = Text(f"{said}({move['forced']})", style="bold red")
                console.print(told, soft_wrap=True)
        if channel["candidate"]:
            rolling = channel["candidate"]
            seen_by = f"{rolling['stage']}, {rolling['share']:.0%} of sessions"
            until = f", until {rolling['deadline']}" if rolling["deadline"] else ""
            console.print(f"rolling out {rolling['release_id']}: {seen_by}{until}")
        if channel["hold"]:
            since, reason = channel["hold"]["since"], channel["hold"]["reason"]
            console.print(Text(f"ON HOLD since {since} ({reason})", style="bold yellow"))
            console.print("`perennial resume --reason '...'` ends it.")
        if channel.get("mask"):
            console.print(
                f"hidden, deleted before the rollback: {channel['mask']['documents']:,} of its "
                "documents; `python -m flows.reindex --catch-up` brings its index up to date",
                soft_wrap=True,
            )
    if view["releases"]:
        headings = ("lineage", "made", "docs", "segs", "dead", "catalogue")
        table = Table("release", "role", *headings, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in table.columns:
            column.no_wrap = True  # people copy ids
        for row in view["releases"]:
            role = row["role"] or ("bridged" if row["bridge"] else "")
            role += " forced" if row["forced"] else ""
            cells = [row["release_id"], role, (row["lineage"] or "")[7:15]]
            cells += [_minute(row["created_at"])[5:] or "damaged", str(row["documents"] or "")]
            dead = "" if row["dead_share"] is None else f"{row['dead_share']:.1%}"
            cells += [str(row["segments"] or ""), dead]
            table.add_row(*cells, (row["watermark"] or "run verify")[:10])
        console.print(table)
    if view["pending"]:
        notes = ", ".join(view["pending"])
        console.print(f"publications that are running, or were killed: {notes}", soft_wrap=True)
    if view["sweeping"]:
        console.print("a sweep is deleting, or was killed; publishers wait for it at most minutes")


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
        unknown |= dict.fromkeys(("segments", "dead_share", "waiting", "forced"))
        return row | unknown | {"problem": str(error)}
    bridge = None
    if found.bridge is not None:
        bridge = {"index_encoder": found.index_encoder, "recall": found.bridge.recall.value}
    rows = sum(each.rows for each in found.index.segments)
    live = sum(each.live for each in found.index.segments)
    return row | {
        "lineage": found.lineage,
        "parent": found.parent,
        "created_at": found.created_at,
        "documents": found.catalogue.documents,
        "watermark": found.catalogue.watermark,
        "segments": len(found.index.segments),
        "dead_share": 1 - live / max(rows, 1),
        "waiting": sum(each.rows for each in found.index.waiting),
        "bridge": bridge,
        "forced": found.provenance.forced,
    }
