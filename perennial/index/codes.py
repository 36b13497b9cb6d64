"""How vectors stand in a FAISS index: encoding them, and an IVF's rows without its quantizer."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import faiss
import numpy as np

from perennial.errors import BadInput, IntegrityError
from perennial.index.factory import Factory
from perennial.index.gpu import device_for, nearest
from perennial.index.template import empty_like

_SHARD_ROWS = 65_536  # whole blocks of FAISS's products: the same rows, the same rounding
# Far above what FAISS gives to BLAS, which rounds otherwise than its own loops; what is too little
# for that differs between its versions (20 rows, later a product of rows and centroids).
_LEAST_ROWS = _SHARD_ROWS // 4
# A template's file, its digest and (n, d) rows to what row_codes makes of them, elsewhere.
RowCodes = Callable[[Path, str, np.ndarray], tuple[np.ndarray, np.ndarray]]


def encoded(
    vectors: np.ndarray,
    *,
    factory: Factory,
    template: faiss.IndexIVF | None,
    elsewhere: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
) -> faiss.Index:
    """(n, d) unit rows to a filled inner-product index; raises BadInput for an IVF's template.

    `elsewhere` finds lists and codes of an IVF's rows as row_codes does.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    rows, dimension = vectors.shape
    if factory.kind == "IVF":
        if template is None or template.d != dimension:
            raise BadInput(
                f"vectors of {dimension} dimensions cannot be encoded for {factory.name} with "
                f"{'no' if template is None else f'a {template.d}-dimensional'} quantizer; give "
                "the one of their lineage"
            )
        index = empty_like(template)
        if elsewhere is not None:
            append_rows(index, *elsewhere(vectors))
            return index
    elif factory.kind == "HNSW" and rows >= factory.least_rows:
        index = faiss.IndexHNSWFlat(dimension, factory.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 2 * factory.links
    else:
        index = faiss.IndexFlatIP(dimension)
    device = device_for(float(rows) * factory.lists * dimension)
    if device is not None:
        assert template is not None
        own = _own_lists(vectors, template, device=device)
        index.add_core(rows, faiss.swig_ptr(vectors), None, faiss.swig_ptr(own))
    elif rows:
        index.add(vectors)
    return index


def row_codes(vectors: np.ndarray, template: faiss.IndexIVF) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) unit rows to the (n,) list that each belongs to, and its (n, code_size) code."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    device = device_for(float(len(vectors)) * template.nlist * template.d)
    own = _own_lists(vectors, template, device=device)
    codes = np.empty((len(vectors), template.code_size), dtype=np.uint8)
    pointers = faiss.swig_ptr(vectors), faiss.swig_ptr(own), faiss.swig_ptr(codes)
    template.encode_vectors(len(vectors), *pointers)
    return own, codes


def shards_of(rows: int) -> list[slice]:
    """Rows in shards that each round as all of them in one `add` do: too few, which
    might round otherwise, go with the shard before them."""
    starts = list(range(0, rows, _SHARD_ROWS))
    if len(starts) > 1 and rows - starts[-1] < _LEAST_ROWS:
        starts.pop()
    return [slice(*ends) for ends in zip(starts, [*starts[1:], rows], strict=True)]


def put_together(
    answers: Iterable[tuple[int, tuple[np.ndarray, np.ndarray]]], shards: Sequence[slice]
) -> tuple[np.ndarray, np.ndarray]:
    """What row_codes makes of each shard, one at least and in any order, to that of all rows; each
    is copied as it comes, so that what carried it can let go of it."""
    own, codes = np.empty(shards[-1].stop, dtype=np.int64), np.empty((0, 0), dtype=np.uint8)
    for number, (its_own, its_codes) in answers:
        if not len(codes):
            codes = np.empty((len(own), its_codes.shape[1]), dtype=np.uint8)
        own[shards[number]], codes[shards[number]] = its_own, its_codes
    return own, codes


def append_rows(index: faiss.IndexIVF, own: np.ndarray, codes: np.ndarray) -> None:
    """Append n encoded rows to an index's lists, in their order, as `add` does."""
    first, order = index.ntotal, np.argsort(own, kind="stable")
    ends = np.cumsum(np.bincount(own, minlength=index.nlist))
    for number, rows in enumerate(np.split(order, ends[:-1])):
        if len(rows):
            held = np.ascontiguousarray(codes[rows]), np.int64(first) + rows
            pointers = faiss.swig_ptr(held[1]), faiss.swig_ptr(held[0])
            index.invlists.add_entries(number, len(rows), *pointers)
    index.ntotal = first + len(own)


def _own_lists(vectors: np.ndarray, template: faiss.IndexIVF, *, device: str | None) -> np.ndarray:
    if device is None:
        own = template.quantizer.search(vectors, 1)[1]
    else:
        centroids = template.quantizer.reconstruct_n(0, template.nlist)
        own = nearest(vectors, centroids, 1, device=device)[1]
    return np.ascontiguousarray(own[:, 0])


def contained(index: faiss.Index) -> faiss.Index:
    """What is written of an index: an IVF's lists alone, its quantizer and codebooks left out.

    FAISS reads no PQ without its codebooks, so that a PQ's lists travel as bytes of 8-bit codes.
    """
    if not isinstance(index, faiss.IndexIVF):
        return index
    lists, metric = index.nlist, faiss.METRIC_INNER_PRODUCT
    if isinstance(index, faiss.IndexIVFPQ):
        width, direct = index.code_size, faiss.ScalarQuantizer.QT_8bit_direct
        empty = faiss.IndexFlatIP(width)
        box = faiss.IndexIVFScalarQuantizer(empty, width, lists, direct, metric, False)
    elif isinstance(index, faiss.IndexIVFScalarQuantizer):
        empty = faiss.IndexFlatIP(index.d)
        box = faiss.IndexIVFScalarQuantizer(
            empty, index.d, lists, index.sq.qtype, metric, index.by_residual
        )
        box.sq = index.sq
    else:
        empty = faiss.IndexFlatIP(index.d)
        box = faiss.IndexIVFFlat(empty, index.d, lists, metric)
    box.is_trained, box.ntotal = True, index.ntotal
    box.replace_invlists(index.invlists, False)
    box.referenced_objects = [empty, index]
    return box


def unpacked(box: faiss.Index, template: faiss.IndexIVF, *, what: str) -> faiss.IndexIVF:
    """The lists of a read box, which must outlive it, as an index of the template.

    Raises IntegrityError where the box was not made for this template.
    """
    index = empty_like(template)
    if (
        not isinstance(box, faiss.IndexIVF)
        or (box.nlist, box.code_size) != (index.nlist, index.code_size)
        or isinstance(box, faiss.IndexIVFFlat) != isinstance(index, faiss.IndexIVFFlat)
    ):
        raise IntegrityError(
            f"{what} does not hold the lists of its index's quantizer; run `perennial verify`, "
            "then `perennial rollback`"
        )
    index.replace_invlists(box.invlists, False)
    index.ntotal = box.ntotal
    return index
