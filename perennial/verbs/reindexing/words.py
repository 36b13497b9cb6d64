"""Many new documents: a release that finds them by their words, while their vectors are made.

It is the one that is served, less what the catalogue removed; what is new waits in it, without
vectors, and what has another text keeps its old one for so long. Nothing of it is carried on: the
next comparison finds the same documents new, so that whatever is killed, they get their vectors.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.data.catalogue import Documents
from perennial.index.description import is_lexical, write_description
from perennial.index.increment import write_tombstones
from perennial.index.lexical.file import write_words
from perennial.index.segment import names_table, write_names
from perennial.release.channels.channel import Channel
from perennial.release.publishing.pins import Say
from perennial.release.publishing.successor import publish_successor
from perennial.release.stores.store import Store
from perennial.verbs.reindexing.grow import read_changed
from perennial.verbs.reindexing.publish import catalogue_part, swap
from perennial.verbs.reindexing.side import Look

_NAME = "waiting-0000"


def is_due(look: Look, *, lexical_first: int) -> bool:
    """True where more documents than that have neither vector nor words in the release."""
    return look.base.is_lexical and len(look.changes.added) - look.waiting > lexical_first


def serve_waiting(
    store: Store,
    seen: Channel,
    look: Look,
    documents: Documents,
    *,
    fresh: Path,
    provenance: Mapping[str, Any],
    now: datetime,
    who: str,
    key: bytes | None,
    catch_up: bool,
    say: Say,
) -> Channel:
    """Publish the release in which the new documents wait, and move the channel to it.

    Returns the channel as it is then; as it was where nothing else would be left in the release.
    Raises Conflict where somebody else moved it meanwhile.
    """
    base = look.base
    rows = _without_removed(look, fresh)
    if not rows:
        return seen
    waiting = _write_waiting(documents, look.changes.added, fresh)
    index = base.manifest.index
    write_description(
        fresh,
        encoder_digest=base.manifest.index_encoder,
        dimension=base.manifest.index_dimension,
        factory=index.factory,
        search=index.search,
        segments=rows,
        quantizer=index.quantizer.path if index.quantizer else None,
        waiting=[waiting],
    )
    manifest = publish_successor(
        store,
        base.manifest,
        index=fresh,
        references=None,
        catalogue=catalogue_part(documents, no_older_than=[base.manifest.catalogue.watermark]),
        health=base.manifest.health,
        provenance=base.provenance(provenance),
        created_at=now,
        key=key,
        is_given=True,
        say=say,
    )
    new = f"{len(look.changes.added):,} new documents"
    moved = swap(
        store,
        seen,
        stable=(seen.stable, manifest.release_id),
        candidate=None,
        now=now,
        why=f"reindex: {new} are found by their words until they have vectors",
        who=who,
        key=key,
        catch_up=catch_up,
        say=say,
    )
    say(f"{seen.name} serves {manifest.release_id}, which finds {new} by their words")
    return moved


def _write_waiting(documents: Documents, added: np.ndarray, fresh: Path) -> dict[str, Any]:
    """Write ids and words of the new documents; their row of index.json."""
    chosen = pa.array(added)
    doc_ids, digests, slices = (
        column.take(chosen)
        for column in (documents.doc_ids, documents.text_digests, documents.slices)
    )
    write_names(fresh / f"{_NAME}.parquet", names_table(doc_ids, digests, slices))
    texts = read_changed(documents, added)
    words = write_words(fresh, name=_NAME, texts=texts, doc_ids=doc_ids.to_pylist())
    return {"ids": f"{_NAME}.parquet", "lexical": words, "rows": len(doc_ids)}


def _without_removed(look: Look, fresh: Path) -> list[dict[str, Any]]:
    """The segments, with tombstones for what the catalogue has no more."""
    fresh.mkdir(parents=True)
    removed, rows = pa.array(look.changes.removed, pa.string()), []
    for row, segment in zip(look.base.rows, look.base.held, strict=True):
        gone = pc.is_in(segment.doc_ids, value_set=removed).to_numpy(zero_copy_only=False)
        dead = segment.dead | gone
        if dead.all():
            continue
        if (gone & ~segment.dead).any():
            stem = Path(row["vectors"]).stem
            name = write_tombstones(fresh, segment=stem, rows=np.flatnonzero(dead))
            row = row | {"tombstones": name, "live": row["rows"] - int(dead.sum())}
        rows.append(row)
    assert is_lexical(rows)
    return rows
