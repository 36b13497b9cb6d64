"""Compaction: several segments become one of their living rows; nothing is embedded or trained."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.errors import BadInput
from perennial.index.codes import encoded
from perennial.index.description import is_lexical, segment_row
from perennial.index.exact import flat_vectors
from perennial.index.factory import parse
from perennial.index.lexical.file import SUFFIX, read_postings, write_postings
from perennial.index.lexical.postings import merged as merged_postings
from perennial.index.lists import merge_lists
from perennial.index.segment import Segment, read_dead, read_rows, write_segment
from perennial.index.template import empty_like, fingerprint


def plan_compaction(
    sizes: Sequence[tuple[int, int]], *, fanout: int, max_dead_share: float, max_segments: int
) -> list[tuple[int, ...]]:
    """(rows, living rows) of each segment to the groups of positions to merge, each into one.

    Size-tiered: `fanout` segments of one tier (living rows between two powers of `fanout`) become
    one of the next, so that a row is rewritten once a tier; then the smallest, down to
    `max_segments`. A segment with a larger dead share is rewritten, alone if need be.
    """
    groups: dict[tuple[int, ...], int] = {
        (i,): live for i, (_, live) in enumerate(sizes)
    }  # what there will be, and its size
    while True:
        tiers: dict[int, list[tuple[int, ...]]] = {}
        for group, live in sorted(groups.items(), key=lambda item: (item[1], item[0])):
            tiers.setdefault(_tier(live, fanout), []).append(group)
        full = next((tier for _, tier in sorted(tiers.items()) if len(tier) >= fanout), None)
        if full is None and len(groups) > max(max_segments, 1):
            smallest = sorted(groups, key=lambda group: (groups[group], group))
            full = smallest[: len(groups) - max(max_segments, 1) + 1]
        if full is None:
            break
        live = sum(groups.pop(group) for group in full)
        groups[tuple(sorted(i for group in full for i in group))] = live
    return sorted(
        group
        for group in groups
        if len(group) > 1 or _dead_share(*sizes[group[0]]) > max_dead_share
    )


def _tier(live: int, fanout: int) -> int:
    tier = 0
    while live >= fanout:
        live, tier = live // fanout, tier + 1
    return tier


def _dead_share(rows: int, live: int) -> float:
    return 1.0 if rows == 0 else 1 - live / rows


def compact(
    directory: Path,
    to: Path,
    *,
    segments: Sequence[Mapping[str, Any]],
    name: str,
    template: faiss.IndexIVF | None,
    factory: str,
    seed: int,
    without: Collection[str] = (),
) -> dict[str, Any]:
    """Write into `to` one segment of the living rows of `segments`, rows of `directory`'s
    index.json, in their order; its own row of index.json.

    Documents `without` are physically left out. Lists are merged as they are; a graph or a scan is
    rebuilt from the stored vectors; postings are merged where all sources have them. Same input,
    same bytes.
    """
    del seed
    shared = None if template is None else (template, fingerprint(template))
    sources = [_read(directory, row, template=shared) for row in segments]
    hidden = pa.array(sorted(without), pa.string())
    alive, tables = [], []
    for row, source in zip(segments, sources, strict=True):
        hide = pc.is_in(source.rows.doc_ids, hidden).to_numpy(zero_copy_only=False)
        alive.append(~(source.dead | hide))
        tables.append(_read_ids(directory / row["ids"]).filter(alive[-1]))
    table = pa.concat_tables(tables)
    indexes = [source.rows.vectors for source in sources]
    dimension = indexes[0].d
    if template is not None:
        merged = empty_like(template)
        merge_lists(indexes, _renumbered(alive), into=merged)
    else:
        _check_whole_vectors(indexes, [row["vectors"] for row in segments])
        kept = [flat_vectors(i)[rows] for i, rows in zip(indexes, alive, strict=True)]
        kind = parse(factory, dimension=dimension)
        merged = encoded(np.concatenate(kept), factory=kind, template=None)
    write_segment(
        to,
        name=name,
        vectors=merged,
        doc_ids=table["doc_id"].combine_chunks(),
        text_digests=table["text_digest"].combine_chunks(),
        slices=table["slice"].combine_chunks(),
        template=shared[1] if shared else None,
    )
    lexical = None
    if is_lexical(segments):
        held = [
            read_postings(directory / row["lexical"], rows=len(rows))
            for row, rows in zip(segments, alive, strict=True)
        ]
        lexical = f"{name}{SUFFIX}"
        write_postings(to / lexical, merged_postings(list(zip(held, alive, strict=True))))
    return segment_row(name, rows=len(table), lexical=lexical)


def _read(
    directory: Path, row: Mapping[str, Any], *, template: tuple[faiss.IndexIVF, str] | None
) -> Segment:
    rows = read_rows(
        directory, vectors=row["vectors"], ids=row["ids"], template=template, mmap=True
    )
    dead = read_dead(directory, row["tombstones"], vectors=row["vectors"], rows=len(rows))
    return Segment(rows, dead)


def _check_whole_vectors(indexes: Sequence[faiss.Index], names: Sequence[str]) -> None:
    for index, name in zip(indexes, names, strict=True):
        if isinstance(index, faiss.IndexIVF):
            raise BadInput(
                f"{name} holds lists, but its index names no shared quantizer; it cannot be merged "
                "with others: build the index anew by a retrain"
            )


def _read_ids(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as stream:
        table = stream.read().replace_schema_metadata(None)
    if "slice" not in table.column_names:
        table = table.append_column("slice", pa.nulls(len(table), pa.string()))
    return table.select(["doc_id", "text_digest", "slice"])


def _renumbered(alive: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(rows,) bool of each source to (rows,) int64 numbers in the merged segment, -1 where dead."""
    numbers, start = [], 0
    for rows in alive:
        new = np.cumsum(rows, dtype=np.int64) - 1 + start
        start = int(new[-1]) + 1 if len(new) else start
        numbers.append(np.where(rows, new, -1))
    return numbers
