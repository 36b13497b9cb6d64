"""Bring the catalogue into one release that no channel serves yet, so that it may be promoted.

While a retrain works, the champion is reindexed every quarter of an hour: its candidate would hold
an older catalogue, and a swap refuses that.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.data.catalogue import read_documents
from perennial.errors import Refused
from perennial.model.digest import text_digests
from perennial.params import Params
from perennial.quality.upkeep import judge_removals
from perennial.release.store import Store
from perennial.verbs.reindex_place import alone_in, keep_only
from perennial.verbs.reindex_publish import publish_side
from perennial.verbs.reindex_result import in_words
from perennial.verbs.reindex_side import CANDIDATE, continue_release, look_at
from perennial.verbs.reindex_watch import Stopwatch

_FOLDER = ".candidate"  # beside those of channels, whose names begin otherwise


def bring_up_to_date(
    release_id: str,
    *,
    source: Path,
    store: Store,
    cache: Path,
    params: Params,
    now: datetime,
    key: bytes | None,
    provenance: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> str:
    """The release that continues it with today's catalogue, or itself where it holds that already.

    Raises Refused where too much of the catalogue is gone or the index is out of bounds.
    """
    with alone_in(cache / "reindex" / _FOLDER) as (folder, objects):
        documents = read_documents(source / "catalogue.parquet", digests_of=text_digests)
        looks = look_at(
            store,
            {CANDIDATE: release_id},
            documents,
            objects=objects,
            folder=folder,
            key=key,
            say=say,
        )
        if not looks or looks[0].changes.is_empty:
            return release_id
        (look,) = looks
        say(f"{release_id}: {in_words(look.changes)} since its snapshot")
        decision = judge_removals(
            len(look.changes.removed),
            look.changes.live,
            max_removed_share=params.reindex.max_removed_share,
        )
        if decision.outcome == "advance":
            made = continue_release(
                look,
                documents,
                folder=folder / CANDIDATE,
                vectors=cache / "vectors",
                params=params,
                watch=Stopwatch(),
                say=say,
            )
            decision = made.decision
        if decision.outcome != "promote":
            raise Refused(f"{release_id} cannot take today's catalogue: {decision.reasons[0]}")
        manifest, _ = publish_side(
            store,
            look.base,
            made.checked,
            documents,
            provenance=provenance or {},
            now=now,
            key=key,
            say=say,
        )
        keep_only(objects, ())
    return manifest.release_id
