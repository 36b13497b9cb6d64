"""Freeze the input of one retrain: the log's usable window, catalogue, labels, champion's bytes."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from perennial.data.schema import TABLES
from perennial.errors import BadInput, PlaceUnusable
from perennial.model.digest import file_digest
from perennial.params.log import Snapshot
from perennial.release.caching.materialise import materialise
from perennial.release.channels.moves import read_kept
from perennial.release.publishing.bridged import refuse_bridged
from perennial.release.publishing.publish import read_checked_channel
from perennial.release.stores.store import Store
from perennial.verbs.freeze import Frozen, freeze_tables
from perennial.verbs.freezing.earlier import freeze_earlier
from perennial.verbs.freezing.events import EventsLeftOut
from perennial.verbs.freezing.queries import Rare
from perennial.verbs.freezing.reference import freeze_reference

FORMAT_VERSION = 1


@dataclass(frozen=True)
class SnapshotInfo:
    """What a snapshot holds; equal input gives an equal `digest`."""

    digest: str
    champion: str
    rows: dict[str, int]
    redacted: dict[str, dict[str, int]]  # personal data in queries: {table: {kind: findings}}
    dropped: dict[str, int]  # requests and judgements about documents that are gone
    rare: Rare  # queries that too few sessions asked
    sessions: str  # keyed or numbered
    start: datetime
    end: datetime
    events: EventsLeftOut = field(default_factory=EventsLeftOut)

    @property
    def left_out(self) -> str:
        """What was dropped, in sentences; empty where nothing was."""
        lost = [f"{count:,} {name}" for name, count in self.dropped.items() if count]
        about = "are left out: they are about documents that the catalogue no longer has"
        said = [f"{' and '.join(lost)} {about}"] if lost else []
        if self.rare.queries:
            said.append(
                f"{self.rare.queries:,} queries of {self.rare.requests:,} requests are left out: "
                "too few sessions asked them"
            )
        if self.events.repeated:
            said.append(f"{self.events.repeated:,} events that were sent again count once")
        if self.events.not_shown:
            said.append(
                f"{self.events.not_shown:,} events are left out: their requests did not show what "
                "they are about"
            )
        return ". ".join(said)

    @property
    def made_anonymous(self) -> str:
        """What was redacted in queries, as a sentence; empty where nothing was."""
        counts: dict[str, int] = {}
        for kinds in self.redacted.values():
            for kind, count in kinds.items():
                counts[kind] = counts.get(kind, 0) + count
        found = [f"{count:,} {kind}" for kind, count in sorted(counts.items()) if count]
        return f"Redacted in queries: {', '.join(found)}" if found else ""


def take_snapshot(
    source: Path,
    store: Store,
    channel: str,
    to: Path,
    *,
    params: Snapshot,
    key: bytes | None,
    session_key: bytes | None,
) -> SnapshotInfo:
    """Write tables, snapshot.json, accepted.json, champion/ and earlier/ into `to`, whole or not.

    Of the `params`' lineages the champion's is the first. `key` signs what the store holds,
    `session_key` hashes the ids of sessions.
    """
    serving = read_checked_channel(store, channel, key=key)
    if serving is None:
        raise BadInput(
            f"channel {channel} serves no release to compare with; run `perennial bootstrap` first"
        )
    # A gate that compares with a stand-in would decide nothing: its index is another encoder's.
    refuse_bridged(read_kept(store, serving.stable, key=key), to="compared with")
    building, aside = to.with_name(f".{to.name}.partial"), to.with_name(f".{to.name}.old")
    try:
        _clear(building, aside)
        building.mkdir(parents=True)
        frozen = freeze_tables(
            source,
            building,
            window=timedelta(days=params.window_days),
            settle=timedelta(seconds=params.click_window_seconds),
            max_unknown_share=params.max_unknown_share,
            min_query_sessions=params.min_query_sessions,
            memory_mb=params.memory_mb,
            session_key=session_key,
        )
        materialise(store, serving.stable, building / "champion", key=key)
        earlier = freeze_earlier(store, serving, building, lineages=params.lineages - 1, key=key)
        info = _describe(
            building, frozen, earlier, champion=serving.stable, store=store, channel=channel
        )
        if to.exists():
            to.rename(aside)
        building.rename(to)
    except OSError as error:
        raise PlaceUnusable(
            f"cannot write a snapshot to {to}: {error.strerror or error}; make the folder "
            "writable or free some space, then run the same command again"
        ) from error
    finally:
        _clear(building, aside)
    return info


def _describe(
    building: Path, frozen: Frozen, earlier: Path, *, champion: str, store: Store, channel: str
) -> SnapshotInfo:
    """Write accepted.json and snapshot.json beside what they describe."""
    digests = {name: file_digest(building / f"{name}.parquet") for name in TABLES}
    reference = freeze_reference(store, channel, building, digests=digests)
    beside = [file_digest(reference), file_digest(earlier)]
    whole = json.dumps([digests, champion, channel, *beside], sort_keys=True).encode()
    info = SnapshotInfo(
        digest=f"sha256:{hashlib.sha256(whole).hexdigest()}",
        champion=champion,
        rows=frozen.rows,
        dropped=frozen.dropped,
        redacted=frozen.redacted,
        rare=frozen.rare,
        sessions=frozen.sessions,
        start=frozen.start,
        end=frozen.end,
        events=frozen.events,
    )
    about = {
        "format_version": FORMAT_VERSION,
        "window": {"start": _iso(info.start), "end": _iso(info.end)},
        "rows": info.rows,
        "dropped": info.dropped,
        "redacted": info.redacted,
        "rare": asdict(info.rare),
        "events": asdict(info.events),
        "sessions": info.sessions,
        "digests": digests,
        "champion": champion,
        "channel": channel,
        "digest": info.digest,
    }
    text = json.dumps(about, indent=2, sort_keys=True) + "\n"
    (building / "snapshot.json").write_text(text, encoding="utf-8")
    return info


def _clear(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
