"""Inverted lists as arrays: (lists,) sizes, one list's ids and codes, and merging many into one."""

from collections.abc import Sequence

import faiss
import numpy as np


def list_sizes(inverted: faiss.IndexIVF) -> np.ndarray:
    """(lists,) int64: how many rows each inverted list holds."""
    lists = inverted.invlists
    return np.array([lists.list_size(i) for i in range(inverted.nlist)], dtype=np.int64)


def list_of(inverted: faiss.IndexIVF, number: int) -> tuple[np.ndarray, np.ndarray]:
    """One list's (n,) rows and (n, code_size) codes: views that live as long as the index."""
    lists, width = inverted.invlists, inverted.code_size
    size = lists.list_size(number)
    if size == 0:
        return np.empty(0, dtype=np.int64), np.empty((0, width), dtype=np.uint8)
    rows = faiss.rev_swig_ptr(lists.get_ids(number), size)
    codes = faiss.rev_swig_ptr(lists.get_codes(number), size * width)
    return rows, codes.reshape(size, width)


def merge_lists(
    sources: Sequence[faiss.IndexIVF], renumbered: Sequence[np.ndarray], into: faiss.IndexIVF
) -> None:
    """Append the lists of all sources to the empty `into`, in their order, codes as they are.

    `renumbered`: for each source, (rows,) int64 new row numbers, -1 for a row to leave out.
    """
    lists, total = into.invlists, 0
    for number in range(into.nlist):
        for source, new in zip(sources, renumbered, strict=True):
            rows, codes = list_of(source, number)
            numbers = new[rows]
            kept = numbers >= 0
            if not kept.all():
                numbers, codes = numbers[kept], codes[kept]
            if len(numbers):
                pointers = faiss.swig_ptr(numbers), faiss.swig_ptr(codes)
                lists.add_entries(number, len(numbers), *pointers)
                total += len(numbers)
    into.ntotal = total
