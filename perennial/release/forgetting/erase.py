"""Deleting what was rewritten: old manifests, what only they named, and waste with a trace."""

from datetime import timedelta

from perennial.release.channels.moves import read_checked_channel, read_kept
from perennial.release.forgetting.forgotten import left_behind
from perennial.release.forgetting.traces import Traces, scan_file_of
from perennial.release.manifests.canonical import parse_utc
from perennial.release.publishing.pins import Clock, Say
from perennial.release.stores.store import Store
from perennial.release.sweeping.lease import deleting
from perennial.release.sweeping.sweep import delete_objects


def erase(
    store: Store,
    gone: set[str],
    traces: Traces,
    *,
    pending: timedelta,
    clock: Clock,
    key: bytes | None,
    say: Say,
) -> tuple[int, int, tuple[str, ...]]:
    """Delete old manifests and what only they named, and waste that holds a trace.

    (objects, bytes, the publications that need old objects and must end first).
    """
    find = scan_file_of(store, traces)
    with deleting(store, clock=clock, say=say) as lease:
        lease.take(releases=tuple(sorted(gone)))
        now, listed = clock(), {each.digest: each for each in store.objects()}
        notes = store.pending()
        dead = [each for each in notes if parse_utc(each.created_at) < now - pending]
        alive = [each for each in notes if each not in dead]
        every = {each: read_kept(store, each, key=key) for each in store.release_ids()}
        found = (read_checked_channel(store, each, key=key) for each in store.channel_names())
        channels = [each for each in found if each is not None]
        served = {each.stable for each in channels} | {
            each.candidate.release_id for each in channels if each.candidate is not None
        }
        going = {each for each in gone if each in every and each not in served}
        named = {d for each in every if each not in going for d in every[each].objects()}
        named |= {each.mask.digest for each in channels if each.mask is not None}
        old = {d for each in going for d in every[each].objects()} - named
        busy = [each for each in alive if old & set(each.digests)]
        if busy:
            return 0, 0, tuple(each.release_id for each in busy)
        pins = {digest for each in alive for digest in each.digests}
        for release_id in sorted(going):
            lease.hold()
            store.delete_manifest(release_id)
        for note in dead:
            store.clear_pending(note.release_id)
        waste, killed = [], left_behind(store)
        for digest in sorted(listed.keys() - named - pins):
            lease.hold()
            if digest in old or digest in killed or find(digest):
                waste.append(listed[digest])
        delete_objects(store, waste, lease=lease)
        store.remove_debris(before=now - timedelta(hours=1) if alive else now)
    return len(waste), sum(each.bytes for each in waste), ()
