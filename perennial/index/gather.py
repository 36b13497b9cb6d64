"""Small segments laid together in memory, so that a query searches few, however many a disk holds.

Merging on disk saves a search its segments and costs a write of every row of them; merging in
memory costs a copy of the same rows and no write, so that a disk may merge more rarely.
"""

from collections.abc import Sequence

import faiss
import numpy as np
import pyarrow as pa

from perennial.index.segment import Rows, Segment
from perennial.index.selection import joined_codes
from perennial.index.template import empty_like

# The same segments go together again when one more follows them, or the reader copied them each
# time: a row is copied about once per tier.
_TIER = 4
_LARGEST_SHARE = 0.2  # of all rows: what a swap may hold twice for a moment


def plan_gathering(rows: Sequence[int]) -> list[tuple[int, ...]]:
    """The rows of each segment, in order, to runs of neighbours that are laid together.

    A run takes in the next one where it has at most `_TIER` times its rows; all that follow a
    segment leave the runs before it as they are, unless they grow as large.
    """
    largest = _LARGEST_SHARE * sum(rows)
    runs: list[tuple[tuple[int, ...], int]] = []
    for position, size in enumerate(rows):
        run: tuple[int, ...] = (position,)
        while runs and runs[-1][1] <= _TIER * size and runs[-1][1] + size <= largest:
            before, earlier = runs.pop()
            run, size = before + run, earlier + size
        runs.append((run, size))
    return [run for run, _ in runs]


def gather(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same rows, dead ones too, in fewer segments; those that stay alone are the given ones.

    Lists of one quantizer are laid together; scans and graphs stay as they are.
    """
    found: list[Segment] = []
    for run in plan_gathering([len(segment.rows) for segment in segments]):
        found += _joined([segments[position] for position in run])
    return tuple(found)


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    template = segments[0].rows.template
    if len(segments) == 1 or template is None:
        return list(segments)
    # Of equal scores FAISS answers with the larger number first, and a search of several segments
    # with the earlier segment: so the earlier rows get the larger numbers.
    backwards = segments[::-1]
    rows = [segment.rows for segment in backwards]
    joined = Rows(
        _laid_together([segment.rows for segment in segments], template[0]),
        pa.concat_arrays([each.doc_ids for each in rows]),
        joined_codes([each.slices for each in rows], [len(each) for each in rows]),
        template,
        coarse=template[0].quantizer,
    )
    names = tuple(name for segment in segments for name in segment.names)
    return [Segment(joined, np.concatenate([segment.dead for segment in backwards]), names)]


def _laid_together(rows: Sequence[Rows], template: faiss.IndexIVF) -> faiss.IndexIVF:
    joined, start = empty_like(template), sum(len(each) for each in rows)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # the other cores are for queries
    try:
        for each in rows:
            start -= len(each)
            copy, whole = empty_like(template), faiss.InvertedLists.SUBSET_TYPE_ID_RANGE
            each.vectors.copy_subset_to(copy, whole, 0, len(each))
            joined.merge_from(copy, start)
    finally:
        faiss.omp_set_num_threads(before)
    return joined
