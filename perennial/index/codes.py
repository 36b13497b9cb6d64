"""How vectors stand in a FAISS index: encoding them, and an IVF's rows without its quantizer."""

import faiss
import numpy as np

from perennial.errors import BadInput, IntegrityError
from perennial.index.factory import Factory
from perennial.index.gpu import device_for, nearest
from perennial.index.template import empty_like


def encoded(
    vectors: np.ndarray, *, factory: Factory, template: faiss.IndexIVF | None
) -> faiss.Index:
    """(n, d) unit rows to a filled inner-product index; raises BadInput for an IVF's template."""
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
    elif factory.kind == "HNSW" and rows >= factory.least_rows:
        index = faiss.IndexHNSWFlat(dimension, factory.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 2 * factory.links
    else:
        index = faiss.IndexFlatIP(dimension)
    device = device_for(float(rows) * factory.lists * dimension)
    if device is not None:
        assert template is not None
        centroids = template.quantizer.reconstruct_n(0, factory.lists)
        own = np.ascontiguousarray(nearest(vectors, centroids, 1, device=device)[1][:, 0])
        index.add_core(rows, faiss.swig_ptr(vectors), None, faiss.swig_ptr(own))
    elif rows:
        index.add(vectors)
    return index


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
