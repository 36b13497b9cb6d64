"""The catalogue beside the release that serves it: what is missing, and how old that is."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.catalogue import Documents, read_documents, read_texts
from perennial.data.references import REFERENCES
from perennial.index.changes import Changes, find_changes, read_held
from perennial.model.digest import text_digests
from perennial.params.whole import Params
from perennial.quality.drift.signal import Signal
from perennial.release.caching.cache import CachedRelease
from perennial.release.manifests.canonical import parse_utc, utc_text
from perennial.release.watched import Behind
from perennial.verbs.watching.signals import Shelf
from perennial.verbs.watching.traffic import Embed


@dataclass(frozen=True)
class Stock:
    """The catalogue, and what a release lacks of it."""

    documents: Documents
    changes: Changes
    waiting: int


def take_stock(source: Path, release: CachedRelease) -> Stock:
    """Compare the catalogue with the rows that the release holds; raises BadInput."""
    documents = read_documents(source / "catalogue.parquet", digests_of=text_digests)
    index = release.directory / "index"
    held = [
        read_held(
            index,
            ids=segment.ids.path,
            tombstones=segment.tombstones.path if segment.tombstones else None,
        )
        for segment in release.manifest.index.segments
    ]
    changes = find_changes(documents.doc_ids, documents.text_digests, documents.slices, held)
    return Stock(documents, changes, len(changes.fresh) + len(changes.removed))


def behind(was: Behind | None, stock: Stock, release_id: str, *, now: datetime) -> Behind | None:
    """Since when the release is known to lack something; a new release begins anew, and so does one
    that a wrong clock dated in the future."""
    if not stock.waiting:
        return None
    if was is not None and was.release_id == release_id and parse_utc(was.since) <= now:
        return was
    return Behind(release_id, utc_text(now))


def shelf(
    stock: Stock,
    release: CachedRelease,
    late: Behind | None,
    measured: list[Signal],
    params: Params,
    *,
    embed: Embed,
    now: datetime,
) -> Shelf:
    """Samples of all documents and of those that are missing, embedded."""
    section, documents = params.watch, stock.documents
    generator = np.random.default_rng(section.seed)

    def some(rows: np.ndarray) -> np.ndarray:
        chosen = np.sort(generator.permutation(rows)[: section.documents])
        return embed(read_texts(documents, chosen))

    hours = 0.0 if late is None else (now - parse_utc(late.since)).total_seconds() / 3600
    return Shelf(
        documents=len(documents),
        waiting=stock.waiting,
        oldest_hours=hours,
        sample=some(np.arange(len(documents))),
        arrived=some(stock.changes.fresh),
        measured=[*measured, *_of_index(release, params)],
    )


def reference_of(release: CachedRelease) -> tuple[pa.Table, np.ndarray]:
    """The queries in REFERENCES' columns, and the (m, d) documents that are kept with the release.

    Of a release that did not count how often a query was asked, nothing was.
    """
    part = release.manifest.references
    if part is None:
        vectors = np.empty((0, release.manifest.encoder.dimension), dtype=np.float32)
        return REFERENCES.empty_table(), vectors
    folder = release.directory / "references"
    with pq.ParquetFile(folder / part.queries.path) as file:
        found = file.read()
    nothing = pa.array(np.zeros(len(found), dtype=np.int64))
    queries = pa.table(
        [found[name] if name in found.column_names else nothing for name in REFERENCES.names],
        names=REFERENCES.names,
    )
    return queries, np.load(folder / part.vectors.path, allow_pickle=False)


def _of_index(release: CachedRelease, params: Params) -> list[Signal]:
    """Dead rows and uneven lists: what a reindex mends, if it is told to look."""
    segments, health = release.manifest.index.segments, release.manifest.health
    rows = sum(segment.rows for segment in segments)
    dead = 1 - sum(segment.live for segment in segments) / max(rows, 1)
    uneven = float(health.get("imbalance", 1.0))
    section = params.reindex
    return [
        Signal("dead rows", "documents", 0, dead, section.max_dead_share, None, rows,
               f"{dead:.1%} of {rows:,} rows of the index are dead"),
        Signal("uneven lists", "documents", 0, uneven, section.max_imbalance, None, rows,
               f"the lists of the index are uneven by {uneven:.2f}"),
    ]  # fmt: skip
