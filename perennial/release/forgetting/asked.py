"""Forgetting queries: releases carry a sample of what people asked, for drift to be measured by."""

import io
import json
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.erase import erase
from perennial.release.forgetting.forgotten import today, write_forgotten
from perennial.release.forgetting.repoint import repoint
from perennial.release.forgetting.traces import Traces
from perennial.release.manifests.canonical import parse_utc, utc_text
from perennial.release.manifests.folder import index_json
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.pins import Clock, Say, say_nothing, utc_now
from perennial.release.publishing.successor import describe_successor, publish_described
from perennial.release.stores.store import Store


@dataclass(frozen=True)
class Asked:
    """How many queries went from which releases' references, to which successor; `in_flight` are
    the publications that still need the old ones."""

    queries: dict[str, int]
    successors: dict[str, str]
    in_flight: tuple[str, ...]


def releases_asked(store: Store, queries: Collection[str], *, key: bytes | None) -> dict[str, int]:
    """{release: how many of the queries its references hold}, of those that hold any."""
    kept = [read_kept(store, each, key=key) for each in store.release_ids()]
    kept.sort(key=lambda each: (each.created_at, each.release_id))  # a parent before its children
    counts = {each.release_id: sum(_is_hidden(_sample(store, each), queries)) for each in kept}
    return {name: count for name, count in counts.items() if count}


def forget_queries(
    store: Store,
    queries: Collection[str],
    *,
    who: str,
    pending: timedelta,
    key: bytes | None = None,
    clock: Clock = utc_now,
    say: Say = say_nothing,
) -> Asked:
    """Publish each such release again without them, move its channels, delete the old bytes.

    A killed one is finished by the next: the old release stays until its successor serves.
    """
    held, successors = releases_asked(store, queries, key=key), {}
    with tempfile.TemporaryDirectory(prefix="perennial-forget-") as folder:
        for number, release_id in enumerate(held):
            manifest = read_kept(store, release_id, key=key)
            place = Path(folder) / str(number)
            successors[release_id] = _rewrite(
                store, manifest, queries, place, key=key, clock=clock, say=say
            )
    for name in store.channel_names():
        why = "a session was forgotten"
        repoint(store, name, (), who=who, now=clock(), key=key, say=say, why=why)
    gone = {each for each in store.release_ids() if today(store, each) != each}
    busy: tuple[str, ...] = ()
    if gone:
        nothing = Traces((), frozenset())
        *_, busy = erase(store, gone, nothing, pending=pending, clock=clock, key=key, say=say)
    return Asked(held, successors, busy)


def _rewrite(
    store: Store,
    manifest: Manifest,
    queries: Collection[str],
    place: Path,
    *,
    key: bytes | None,
    clock: Clock,
    say: Say,
) -> str:
    """Publish the successor, which shares all else, and write the map; the successor's id."""
    index, references = place / "index", place / "references"
    index.mkdir(parents=True)
    references.mkdir()
    (index / "index.json").write_text(
        json.dumps(json.loads(index_json(manifest)), indent=2, sort_keys=True) + "\n"
    )
    part = manifest.references
    assert part is not None  # it held some of the queries
    sample = _sample(store, manifest)
    kept = [not hidden for hidden in _is_hidden(sample, queries)]
    pq.write_table(sample.filter(pa.array(kept)), references / part.queries.path)
    store.fetch(part.vectors.digest, place / "fetched")
    shutil.move(place / "fetched", references / part.vectors.path)
    successor = describe_successor(
        manifest,
        index=index,
        references=references,
        catalogue=vars(manifest.catalogue),
        health=manifest.health,
        provenance=vars(manifest.provenance),
        continues=None if manifest.parent is None else today(store, manifest.parent),
        created_at=parse_utc(manifest.created_at),  # it takes the place of the old one
    )
    published = publish_described(store, successor, key=key, say=say)
    write_forgotten(
        store,
        manifest.release_id,
        published.release_id,
        at=utc_text(clock()),
        objects=manifest.objects().keys() - published.objects().keys(),
    )
    return published.release_id


def _sample(store: Store, manifest: Manifest) -> pa.Table:
    if manifest.references is None:
        return pa.table({"query": pa.array([], pa.string())})
    return pq.read_table(io.BytesIO(store.read(manifest.references.queries.digest)))


def _is_hidden(sample: pa.Table, queries: Collection[str]) -> list[bool]:
    texts = sample["query"].cast(pa.string())
    found = pc.is_in(texts, value_set=pa.array(sorted(queries), pa.string()))
    return list(found.to_pylist())
