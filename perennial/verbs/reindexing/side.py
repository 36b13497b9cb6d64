"""One release beside the catalogue, and the same release continued in a folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

import numpy as np

from perennial.data.catalogue import Documents
from perennial.index.changes import Changes, find_changes
from perennial.model.encoder import Encoder
from perennial.model.vectors import VectorCache
from perennial.params.whole import Params
from perennial.quality.decision import Decision
from perennial.quality.upkeep import judge_increment
from perennial.release.caching.cache import ReleaseCache
from perennial.release.channels.moves import read_kept
from perennial.release.stores.store import Store
from perennial.stages.computing import computing
from perennial.verbs.reindexing.base import Base
from perennial.verbs.reindexing.check import Checked, check
from perennial.verbs.reindexing.grow import (
    compact_where_due,
    embed_changes,
    read_changed,
    write_increment,
)
from perennial.verbs.reindexing.watch import Counter, Stopwatch

STABLE, CANDIDATE = "stable", "candidate"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Look:
    """What the catalogue changed against a release."""

    role: str
    base: Base
    changes: Changes

    @property
    def waiting(self) -> int:
        """Documents that the release finds by their words only."""
        return sum(part.rows for part in self.base.manifest.index.waiting)

    @property
    def is_current(self) -> bool:
        """True where the release holds this catalogue, with the vectors of all of it."""
        # What waits is of no segment: a comparison with those cannot tell that it was removed.
        return self.changes.is_empty and not self.waiting


@dataclass(frozen=True)
class Made:
    """A continued release, not published yet; the decision says whether it may be."""

    look: Look
    checked: Checked
    decision: Decision
    embedded: int


def look_at(
    store: Store,
    releases: Mapping[str, str],
    documents: Documents,
    *,
    objects: ReleaseCache,
    folder: Path,
    key: bytes | None,
    say: Say,
) -> list[Look]:
    """{role: release_id} beside the catalogue; a candidate that answers over a bridge has no index
    of its own, and stays as it is."""
    found = []
    for role, release_id in releases.items():
        manifest = read_kept(store, release_id, key=key)
        if role == CANDIDATE and manifest.bridge is not None:
            say(f"the candidate {release_id} answers over a bridge and stays as it is")
            continue
        base = Base(store, manifest, cache=objects, folder=folder / role / "base")
        columns = (documents.doc_ids, documents.text_digests, documents.slices)
        found.append(Look(role, base, find_changes(*columns, base.held)))
    return found


def continue_release(
    look: Look,
    documents: Documents,
    *,
    folder: Path,
    vectors: Path,
    params: Params,
    watch: Stopwatch,
    say: Say,
) -> Made:
    """Embed, write, compact and check; nothing leaves the folder."""
    base, section = look.base, params.reindex
    count = Counter(look.role, say)

    @once
    def load() -> Encoder:
        return base.encoder(batch_size=params.index.batch_size)

    @once
    def read() -> list[str]:
        return read_changed(documents, look.changes.fresh)

    digest = base.manifest.encoder.digest
    with (
        computing(params.compute) as place,
        VectorCache.open(
            vectors,
            encoder_digest=digest,
            dimension=base.manifest.encoder.dimension,
            say=say,
        ) as kept,
    ):
        encode = place.encoding(digest, base.encoder_folder, batch_size=params.index.batch_size)
        with watch.phase("embed"):
            fresh: np.ndarray = embed_changes(
                base,
                documents,
                look.changes,
                load=load,
                read=read,
                cache=kept,
                encode=encode,
                progress=count,
            )
        with watch.phase("build"):
            grown = write_increment(
                base,
                documents,
                look.changes,
                vectors=fresh,
                texts=read() if base.is_lexical else None,
                fresh=folder / "fresh",
                seed=section.seed,
            )
        with watch.phase("compact"):
            grown = compact_where_due(
                base,
                grown,
                whole=folder / "whole",
                fanout=section.fanout,
                max_dead_share=section.max_dead_share,
                max_segments=section.max_segments,
                seed=section.seed,
            )
        with watch.phase("check"):
            checked = check(
                base,
                grown,
                documents,
                added=look.changes.fresh,
                vectors=fresh,
                whole=folder / "whole",
                encoder=load(),
                cache=kept,
                encode=encode,
                section=section,
                index_section=params.index,
                progress=count,
            )
        # Texts come and go: what is far more than the catalogue is of the past.
        if len(kept) > 2 * len(documents):
            kept.retain(documents.text_digests.to_pylist())
    decision = judge_increment(
        checked.health,
        documents=len(documents),
        probes=checked.probes,
        min_ann_recall=section.min_ann_recall,
        min_coverage=section.min_coverage,
        min_self_retrieval=section.min_self_retrieval,
        max_dead_share=section.max_dead_share,
        max_imbalance=section.max_imbalance,
        confidence=section.confidence,
    )
    return Made(look, checked, decision, count.count)
