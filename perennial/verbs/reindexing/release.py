"""Bring the catalogue into one release that no channel serves yet, so that it may be promoted.

While a retrain works, the champion is reindexed every quarter of an hour: its candidate would hold
an older catalogue, and a swap refuses that.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from perennial.data.catalogue import read_documents
from perennial.errors import BadInput, IntegrityError
from perennial.model.digest import text_digests
from perennial.params.whole import Params
from perennial.quality.decision import Decision
from perennial.quality.upkeep import judge_removals
from perennial.release.channels.moves import read_kept
from perennial.release.manifests.canonical import parse_utc
from perennial.release.manifests.parts import CataloguePart
from perennial.release.manifests.whole import present
from perennial.release.stores.store import Store
from perennial.verbs.reindexing.place import alone_in, keep_only
from perennial.verbs.reindexing.publish import catalogue_part, publish_side
from perennial.verbs.reindexing.result import in_words
from perennial.verbs.reindexing.side import CANDIDATE, STABLE, continue_release, look_at
from perennial.verbs.reindexing.watch import Stopwatch


@dataclass(frozen=True)
class Continued:
    """The release that holds today's catalogue, None where the decision is to reject it."""

    decision: Decision
    release_id: str | None


def bring_up_to_date(
    release_id: str,
    *,
    channel: str,
    accepted: str | None = None,
    no_older_than: str | None = None,
    source: Path,
    store: Store,
    cache: Path,
    params: Params,
    now: datetime,
    key: bytes | None,
    provenance: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Continued:
    """The release that continues it with today's catalogue, or itself where it holds that already.

    Removals are judged against the release `accepted`, which took those of the reindexes since;
    `no_older_than` is a watermark that the result must have though no document differs. Raises
    BadInput for a catalogue that cannot be taken. Run again after a kill it finds the release that
    was published, or makes it of vectors that were kept.
    """
    # Beside the folders of channels, whose names begin otherwise.
    with alone_in(cache / "reindex" / f".candidate-{channel}") as (folder, objects):
        documents = read_documents(source / "catalogue.parquet", digests_of=text_digests)
        look_into = partial(
            look_at, store, documents=documents, objects=objects, folder=folder, key=key, say=say
        )
        (look,) = look_into({CANDIDATE: release_id})
        judged = look
        if accepted is not None:
            # One that is damaged is about to be replaced: it must not keep this from happening.
            with contextlib.suppress(BadInput, IntegrityError):
                (judged,) = look_into({STABLE: accepted})
        decision = judge_removals(
            len(judged.changes.removed),
            judged.changes.live,
            max_removed_share=params.reindex.max_removed_share,
        )
        if decision.outcome == "reject":
            return Continued(decision, None)
        watermark = look.base.manifest.catalogue.watermark
        is_old = no_older_than is not None and parse_utc(watermark) < parse_utc(no_older_than)
        if look.is_current and not is_old:
            return Continued(decision, release_id)
        known = [watermark, *([] if no_older_than is None else [no_older_than])]
        wanted = CataloguePart(**catalogue_part(documents, no_older_than=known))
        if (found := _made_before(store, release_id, wanted, key=key)) is not None:
            return Continued(decision, found)
        say(f"{release_id}: {in_words(look.changes)} since its snapshot")
        made = continue_release(
            look,
            documents,
            folder=folder / CANDIDATE,
            vectors=cache / "vectors",
            params=params,
            watch=Stopwatch(),
            say=say,
        )
        if made.decision.outcome != "promote":
            return Continued(made.decision, None)
        manifest, _ = publish_side(
            store,
            look.base,
            made.checked,
            documents,
            no_older_than=known,
            provenance=provenance or {},
            now=now,
            key=key,
            say=say,
        )
        keep_only(objects, ())
    return Continued(made.decision, manifest.release_id)


def _made_before(
    store: Store, parent: str, catalogue: CataloguePart, *, key: bytes | None
) -> str | None:
    """What a killed call published: it continues this release with this catalogue, and is whole."""
    for release_id in store.release_ids():
        with contextlib.suppress(BadInput, IntegrityError):  # swept meanwhile, or damaged
            found = read_kept(store, release_id, key=key)
            about = (found.parent, found.catalogue, found.bridge, found.index.waiting)
            if about == (parent, catalogue, None, ()):
                return present(store, release_id, key=key).release_id
    return None
