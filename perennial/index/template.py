"""The template: what an IVF lineage trained once and all its segments share, and no row of it.

A template is an empty IVF index with its coarse centroids and codebooks. A segment's own file
holds neither, so that an increment costs its rows; in memory the segments point at the template.
"""

import hashlib
from pathlib import Path

import faiss
import numpy as np

from perennial.errors import IntegrityError, PlaceUnusable
from perennial.index.factory import Factory
from perennial.index.gpu import device_for, train_centroids

FILE_NAME = "quantizer.faiss"


def train_template(vectors: np.ndarray, *, factory: Factory, seed: int) -> faiss.IndexIVF:
    """(n, d) unit rows to the trained, empty IVF index; same input, same bytes on one device."""
    dimension, lists = vectors.shape[1], factory.lists
    template = faiss.index_factory(dimension, factory.name, faiss.METRIC_INNER_PRODUCT)
    template.cp.seed = seed
    if isinstance(
        template, faiss.IndexIVFPQ
    ):  # anneals for a search that nobody asks for, a minute
        template.do_polysemous_training = False
    device = device_for(10 * float(min(len(vectors), 256 * lists)) * lists * dimension)
    if device is not None:  # train() then only trains the codebooks
        template.quantizer.add(train_centroids(vectors, lists=lists, seed=seed, device=device))
    template.train(np.ascontiguousarray(vectors))
    return template


def empty_like(template: faiss.IndexIVF) -> faiss.IndexIVF:
    """An empty index that uses, but does not own, the template's centroids and codebooks."""
    given = (template.quantizer, template.d, template.nlist)
    if isinstance(template, faiss.IndexIVFPQ):
        pq = template.pq
        fresh = faiss.IndexIVFPQ(*given, pq.M, pq.nbits, faiss.METRIC_INNER_PRODUCT)
        fresh.pq = pq
    elif isinstance(template, faiss.IndexIVFScalarQuantizer):
        kind = template.sq.qtype
        fresh = faiss.IndexIVFScalarQuantizer(
            *given, kind, faiss.METRIC_INNER_PRODUCT, template.by_residual
        )
        fresh.sq = template.sq
    else:
        fresh = faiss.IndexIVFFlat(*given, faiss.METRIC_INNER_PRODUCT)
    fresh.is_trained, fresh.own_fields = True, False
    return fresh


def fingerprint(template: faiss.IndexIVF) -> str:
    """The sha256 of the template's file, which every segment made with it names."""
    return f"sha256:{hashlib.sha256(faiss.serialize_index(template)).hexdigest()}"


def write_template(directory: Path, template: faiss.IndexIVF) -> str:
    """Write quantizer.faiss; the file's name."""
    directory.mkdir(parents=True, exist_ok=True)
    write_index(template, directory / FILE_NAME)
    return FILE_NAME


def read_template(path: Path, *, dimension: int) -> tuple[faiss.IndexIVF, str]:
    """The template of a file and its fingerprint; raises IntegrityError where it is none."""
    try:
        data = path.read_bytes()
        template = faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
    except (OSError, RuntimeError) as error:
        raise IntegrityError(
            f"the shared quantizer {path} is missing or damaged: {error}; run `perennial verify`, "
            "then `perennial rollback`"
        ) from error
    if (
        not isinstance(template, faiss.IndexIVF)
        or not template.is_trained
        or template.ntotal
        or template.quantizer.ntotal != template.nlist
        or template.metric_type != faiss.METRIC_INNER_PRODUCT
        or template.d != dimension
    ):
        raise IntegrityError(
            f"{path} is not an empty, trained IVF index of {dimension} dimensions; rebuild the "
            "index"
        )
    return template, f"sha256:{hashlib.sha256(data).hexdigest()}"


def write_index(index: faiss.Index, path: Path) -> None:
    """Write a FAISS file; raises PlaceUnusable with the disk's own words."""
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise PlaceUnusable(
            f"cannot write the index: {str(error).rpartition('failed: ')[2]}; make the folder "
            "writable, free some space, and run again to continue"
        ) from error
