"""Which releases stay, each with its reason; every other one may be swept."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from perennial.release.channels.channel import Channel
from perennial.release.manifests.canonical import parse_utc
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.store import PendingNote


def kept_releases(
    manifests: Mapping[str, Manifest],
    *,
    channels: Iterable[Channel],
    notes: Iterable[PendingNote],
    young_objects: set[str],
    releases: int,
    lineages: int,
    since: datetime,
    today: Callable[[str], str],
) -> dict[str, str]:
    """release_id to why it is kept: the newest `releases` of each of the newest `lineages`, of all
    and of those that a channel stands on; what a channel serves or left after `since`, what is
    pinned, and what is younger than `since`. `today` is the name of a release that was rewritten.
    """
    kept: dict[str, str] = {}
    for lineage, newest in _newest(
        sorted(manifests.values(), key=_age, reverse=True), releases=releases, lineages=lineages
    ):
        for manifest in newest:
            kept[manifest.release_id] = f"among the newest {releases} of lineage {lineage[7:15]}"
    for channel in channels:
        # Apart, or releases that never served would crowd out those that people go back to.
        names = dict.fromkeys(today(each) for each in reversed(channel.standing()))
        stood = [manifests[each] for each in names if each in manifests]
        for _, newest in _newest(stood, releases=releases, lineages=lineages):
            kept |= {each.release_id: f"{channel.name} may go back to it" for each in newest}
    for release_id, manifest in manifests.items():
        own = manifest.objects().keys()
        if parse_utc(manifest.created_at) >= since or own & young_objects:
            kept[release_id] = "younger than the grace period"
    for channel in channels:
        for move in channel.history:  # a reader may still be opening what it left
            if parse_utc(move.at) >= since:
                left = [each for each in (move.from_, move.to) if each is not None]
                kept |= dict.fromkeys(left, f"served by {channel.name} in the grace period")
    for note in notes:
        digests = set(note.digests)
        pinned = [i for i, each in manifests.items() if each.objects().keys() <= digests]
        kept |= dict.fromkeys([note.release_id, *pinned], "pinned by somebody who is publishing")
    for channel in channels:
        if channel.candidate is not None:
            kept[channel.candidate.release_id] = f"candidate of {channel.name}"
        kept[channel.stable] = f"stable of {channel.name}"
    return {release_id: why for release_id, why in kept.items() if release_id in manifests}


def _newest(
    manifests: Iterable[Manifest], *, releases: int, lineages: int
) -> list[tuple[str, list[Manifest]]]:
    """The first lineages of releases that come newest first, each with its first releases."""
    found: dict[str, list[Manifest]] = defaultdict(list)
    for manifest in manifests:
        found[manifest.lineage].append(manifest)  # in the order of each lineage's newest
    return [(lineage, each[:releases]) for lineage, each in list(found.items())[:lineages]]


def _age(manifest: Manifest) -> tuple[datetime, str]:
    return parse_utc(manifest.created_at), manifest.release_id
