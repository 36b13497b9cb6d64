"""Deleting what nothing needs: releases that retention lets go, then objects that nothing names.

A crash at any point leaves objects without a name, which are waste, and never a name without its
objects: manifests go first.
"""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from perennial.release.channels.moves import read_checked_channel, read_kept
from perennial.release.forgetting.forgotten import FORGOTTEN, today
from perennial.release.manifests.canonical import parse_utc
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.pins import Clock, Say, say_nothing, utc_now
from perennial.release.stores.store import Progress, Store, StoredObject, silent
from perennial.release.sweeping.lease import Lease, deleting
from perennial.release.sweeping.retention import kept_releases

_WRITERS = 8
_BATCH = 64


@dataclass(frozen=True)
class Sweep:
    """What goes: releases and objects, notes of dead publishers, debris; and why the rest stays."""

    releases: tuple[Manifest, ...]
    objects: tuple[StoredObject, ...]
    notes: tuple[str, ...]
    debris: tuple[str, ...]
    records: tuple[str, ...]
    kept: dict[str, str]

    @property
    def bytes(self) -> int:
        """The bytes of the objects that go."""
        return sum(each.bytes for each in self.objects)


def plan_sweep(
    store: Store,
    *,
    releases: int,
    lineages: int,
    grace: timedelta,
    pending: timedelta,
    now: datetime,
    key: bytes | None = None,
) -> Sweep:
    """What a sweep would delete; raises IntegrityError where a channel, manifest or note cannot be
    read, because then nobody knows what it needs."""
    since = now - grace
    objects = store.objects()  # before the names: what is published meanwhile is not in this list
    every_note = store.pending()
    notes = [note for note in every_note if parse_utc(note.created_at) >= now - pending]
    manifests = {each: read_kept(store, each, key=key) for each in store.release_ids()}
    found = (read_checked_channel(store, name, key=key) for name in store.channel_names())
    channels = [channel for channel in found if channel is not None]
    young = {each.digest for each in objects if each.modified >= since}
    forgotten = {each for each in store.record_names() if each.startswith(FORGOTTEN)}
    kept = kept_releases(
        manifests,
        channels=channels,
        notes=notes,
        young_objects=young,
        releases=releases,
        lineages=lineages,
        since=since,
        today=lambda each: today(store, each) if FORGOTTEN + each in forgotten else each,
    )
    named = {digest for each in kept for digest in manifests[each].objects()}
    named |= {digest for note in notes for digest in note.digests}
    named |= {channel.mask.digest for channel in channels if channel.mask is not None}
    going = [each for release_id, each in manifests.items() if release_id not in kept]
    return Sweep(
        releases=tuple(sorted(going, key=lambda each: (each.created_at, each.release_id))),
        objects=tuple(each for each in objects if each.digest not in named | young),
        notes=tuple(each.release_id for each in every_note if each not in notes),
        debris=tuple(store.debris(before=since)),
        records=tuple(_spent_records(store, kept)),
        kept=kept,
    )


def sweep(
    store: Store,
    *,
    releases: int,
    lineages: int,
    grace: timedelta,
    pending: timedelta,
    clock: Clock = utc_now,
    key: bytes | None = None,
    progress: Progress = silent,
    say: Say = say_nothing,
) -> Sweep:
    """Delete what `plan_sweep` names at this moment; run again after a kill, it finishes.

    Raises Refused where another sweep is at work. `progress` is told the bytes of each object.
    """
    with deleting(store, clock=clock, say=say) as lease:
        now = clock()
        plan = plan_sweep(  # only now: whoever pins from here on waits for the lease
            store,
            releases=releases,
            lineages=lineages,
            grace=grace,
            pending=pending,
            now=now,
            key=key,
        )
        going = tuple(each.release_id for each in plan.releases)
        lease.take(releases=going)
        for release_id in going:
            lease.hold()
            store.delete_manifest(release_id)
        delete_objects(store, plan.objects, lease=lease, progress=progress)
        for release_id in plan.notes:
            lease.hold()
            store.clear_pending(release_id)
        for name in plan.records:
            lease.hold()
            store.swap_record(name, store.read_record(name), None)
        lease.hold()
        store.remove_debris(before=now - grace)
    return plan


def delete_objects(
    store: Store,
    objects: Sequence[StoredObject],
    *,
    lease: Lease,
    progress: Progress = silent,
) -> None:
    """Delete them, a batch at a time, as long as the lease holds."""
    batches = iter(objects)
    with ThreadPoolExecutor(_WRITERS) as writers:
        while batch := list(itertools.islice(batches, _BATCH)):
            lease.hold()
            for _ in writers.map(lambda each: store.delete(each.digest), batch):
                pass
            progress(sum(each.bytes for each in batch))


def _spent_records(store: Store, kept: dict[str, str]) -> Iterator[str]:
    """Maps from forgotten releases to successors that are no longer kept."""
    for name in store.record_names():
        if name.startswith(FORGOTTEN) and today(store, name.removeprefix(FORGOTTEN)) not in kept:
            yield name
