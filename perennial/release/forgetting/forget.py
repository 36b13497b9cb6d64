"""Forgetting documents: successors without them, channels moved there, the old bytes deleted.

Every step can be repeated: successors have the ids that their content gives them, nothing old is
deleted before its successor serves, and the map from old to new is written in between.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from perennial.errors import BadInput
from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.erase import erase
from perennial.release.forgetting.forgotten import read_forgotten, today, write_forgotten
from perennial.release.forgetting.references import references_without
from perennial.release.forgetting.repoint import repoint
from perennial.release.forgetting.rewrite import Rewriter
from perennial.release.forgetting.sought import NOTHING, seek
from perennial.release.forgetting.sources import Sources
from perennial.release.forgetting.traces import Traces, scan_store
from perennial.release.manifests.canonical import parse_utc, utc_text
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.pins import Clock, Say, say_nothing, utc_now
from perennial.release.publishing.successor import describe_successor, publish_described
from perennial.release.stores.store import Progress, Store, silent


@dataclass(frozen=True)
class Rewritten:
    """One release: its successor, the rows and references left out; None for one done before."""

    release_id: str
    successor: str
    rows: int | None
    references: int | None


@dataclass(frozen=True)
class Forgetting:
    """What was done, and what a scan of every byte of the store still found, object by object."""

    releases: tuple[Rewritten, ...]
    channels: tuple[str, ...]
    objects: int
    bytes: int
    vectors: int
    in_flight: tuple[str, ...]
    hits: dict[str, list[str]]
    in_encoders: tuple[str, ...]  # a vocabulary may know the id as a word


ClearCaches = Callable[[Traces, frozenset[str]], None]


def forget(
    store: Store,
    doc_ids: Sequence[str],
    *,
    who: str,
    clear_caches: ClearCaches,
    pending: timedelta,
    key: bytes | None = None,
    clock: Clock = utc_now,
    progress: Progress = silent,
    say: Say = say_nothing,
) -> Forgetting:
    """Remove the documents from every byte of the store; a killed one is finished by the next.

    `clear_caches` is given the traces and text digests before anything is deleted. Publications
    younger than `pending` that need old objects are waited for by asking to run again.
    """
    if not doc_ids or any(not each.strip() for each in doc_ids):
        raise BadInput("a document's id is empty; give --doc and the id of the catalogue")
    with tempfile.TemporaryDirectory(prefix="perennial-forget-") as folder:
        sources = Sources(store, tuple(sorted(set(doc_ids))), Path(folder) / "stored")
        rewriter = Rewriter(sources, Path(folder) / "segments")
        manifests = [read_kept(store, each, key=key) for each in store.release_ids()]
        sought = seek(sources, manifests)
        traces, done = sought.traces, []
        for manifest in sorted(sought.old, key=lambda each: (each.created_at, each.release_id)):
            done.append(
                _rewrite(
                    store,
                    manifest,
                    rewriter,
                    Path(folder) / manifest.release_id,
                    vectors=sought.vectors.get(manifest.encoder.digest, NOTHING),
                    key=key,
                    clock=clock,
                    say=say,
                )
            )
        channels = [
            name
            for name in store.channel_names()
            if repoint(store, name, sources.doc_ids, who=who, now=clock(), key=key, say=say)
        ]
        clear_caches(traces, sought.text_digests)
        gone = {each.release_id for each in sought.old}
        objects, size, busy = erase(
            store, gone, traces, pending=pending, clock=clock, key=key, say=say
        )
        hits = scan_store(store, traces, progress=progress)
        encoders = {d for each in store.release_ids() for d in _encoder_objects(store, each, key)}
    return Forgetting(
        releases=tuple(done),
        channels=tuple(channels),
        objects=objects,
        bytes=size,
        vectors=len(traces.vectors),
        in_flight=busy,
        hits={name: found for name, found in hits.items() if name not in encoders},
        in_encoders=tuple(name for name in hits if name in encoders),
    )


def _encoder_objects(store: Store, release_id: str, key: bytes | None) -> set[str]:
    return {each.digest for each in read_kept(store, release_id, key=key).encoder.files}


def _rewrite(
    store: Store,
    manifest: Manifest,
    rewriter: Rewriter,
    place: Path,
    *,
    vectors: np.ndarray,
    key: bytes | None,
    clock: Clock,
    say: Say,
) -> Rewritten:
    """Publish the successor and write the map; both are there already after a kill."""
    record = read_forgotten(store, manifest.release_id)
    if record is not None and today(store, manifest.release_id) in store.release_ids():
        return Rewritten(manifest.release_id, record.successor, None, None)
    rows = rewriter.rewrite(manifest, place / "index")
    references, left_out = references_without(store, manifest, vectors, place / "references")
    parent = None if manifest.parent is None else today(store, manifest.parent)
    successor = describe_successor(
        manifest,
        index=place / "index",
        references=references,
        catalogue=vars(manifest.catalogue),
        health=manifest.health,
        provenance=vars(manifest.provenance),
        continues=parent,
        created_at=parse_utc(manifest.created_at),  # it takes the place of the old one
    )
    index = successor.manifest.index
    live = sum(each.live for each in index.segments) + sum(each.rows for each in index.waiting)
    about = replace(successor.manifest.catalogue, documents=live)
    successor = replace(successor, manifest=replace(successor.manifest, catalogue=about).named())
    published = publish_described(store, successor, key=key, say=say)
    write_forgotten(
        store,
        manifest.release_id,
        published.release_id,
        at=utc_text(clock()),
        objects=manifest.objects().keys() - published.objects().keys(),
    )
    return Rewritten(manifest.release_id, published.release_id, rows, left_out)
