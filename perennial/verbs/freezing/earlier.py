"""Freeze the releases that served before the champion, so that a candidate is held to them too.

A candidate that loses a little to the champion, which had lost a little to the one before it, may
be behind that one by more than anybody allowed.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from perennial.errors import BadInput, IntegrityError, PlaceUnusable
from perennial.release.caching.materialise import materialise
from perennial.release.channels.channel import Channel
from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.forgotten import today
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.store import Store

FORMAT_VERSION = 1
EARLIER = "earlier"


def freeze_earlier(
    store: Store, channel: Channel, folder: Path, *, lineages: int, key: bytes | None
) -> Path:
    """Write folder/earlier/<release_id>/ for up to `lineages` before the champion's; the list.

    Of each the newest release that stable stood on: what a rollback left behind is no measure. What
    was swept is not there any more; what is damaged is left out and named, as nobody serves it.
    """
    to = folder / EARLIER
    to.mkdir(parents=True)
    frozen: list[dict[str, str]] = []
    damaged: list[dict[str, str]] = []
    for manifest in _before(store, channel, key=key):
        if len(frozen) + len(damaged) == lineages:
            break
        about = {"release_id": manifest.release_id, "lineage": manifest.lineage}
        try:
            materialise(store, manifest.release_id, to / manifest.release_id, key=key)
        except IntegrityError as error:
            damaged.append({**about, "why": str(error)})
        else:
            frozen.append(about)
    found = {"format_version": FORMAT_VERSION, "releases": frozen, "damaged": damaged}
    path = to / f"{EARLIER}.json"
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def _before(store: Store, channel: Channel, *, key: bytes | None) -> Iterator[Manifest]:
    """The newest kept release of each lineage before stable's, the last one first.

    One behind a bridge answers with another encoder's index, and so is no release of its own.
    """
    seen = {read_kept(store, channel.stable, key=key).lineage}
    for release_id in reversed(channel.standing()):
        try:
            manifest = read_kept(store, today(store, release_id), key=key)
        except PlaceUnusable:
            raise  # a store that is away has not forgotten anything
        except (BadInput, IntegrityError):
            continue
        if manifest.lineage not in seen and manifest.bridge is None:
            seen.add(manifest.lineage)
            yield manifest
