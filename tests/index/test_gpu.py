"""What would run on a GPU, run by torch on the CPU: as good as FAISS's own."""

import faiss
import numpy as np
import pytest
from tiny_index import unit

from perennial.index import gpu, template
from perennial.index.codes import encoded
from perennial.index.factory import Factory
from perennial.index.lists import list_sizes

pytestmark = pytest.mark.usefixtures("one_thread")


def gathered(vectors: np.ndarray, centroids: np.ndarray) -> float:
    """Mean cosine of rows and their nearest centroid: what spherical k-means makes large."""
    return float((vectors @ centroids.T).max(axis=1).mean())


def centroids_of(index: faiss.IndexIVF) -> np.ndarray:
    return np.asarray(index.quantizer.reconstruct_n(0, index.nlist))


def test_torch_finds_what_faiss_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, vectors = unit(40, seed=1), unit(500)
    wanted, rows = faiss.knn(queries, vectors, 5, faiss.METRIC_INNER_PRODUCT)
    for held_at_once in (2**28, 2000, 1):  # all queries, four, one
        monkeypatch.setattr(gpu, "_SCORES", held_at_once)
        scores, found = gpu.nearest(queries, vectors, 5, device="cpu")
        assert (found == rows).all() and scores == pytest.approx(wanted, abs=1e-6)


def test_torchs_centroids_gather_as_well_as_faisss() -> None:
    vectors = unit(4000)
    ours = gpu.train_centroids(vectors, lists=16, seed=3, device="cpu")
    factory = Factory("IVF", lists=16)
    theirs = centroids_of(template.train_template(vectors, factory=factory, seed=3))
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    assert np.linalg.norm(ours, axis=1) == pytest.approx(np.ones(16), abs=1e-5)
    assert gathered(vectors, ours) > 0.98 * gathered(vectors, theirs)
    again = gpu.train_centroids(vectors, lists=16, seed=3, device="cpu")
    assert (ours == again).all()


def test_no_list_stays_empty_where_few_documents_differ() -> None:
    vectors = np.concatenate([np.repeat(unit(1), 300, axis=0), unit(60, seed=4)])
    centroids = gpu.train_centroids(vectors, lists=8, seed=0, device="cpu")
    assert np.isfinite(centroids).all() and len(np.unique(centroids, axis=0)) == 8


@pytest.mark.parametrize("codes", ["Flat", "SQ8"])
def test_an_index_made_with_torch_is_an_index(monkeypatch: pytest.MonkeyPatch, codes: str) -> None:
    vectors, factory = unit(2000), Factory("IVF", lists=16, codes=codes)
    for module in ("template", "codes"):
        monkeypatch.setattr(f"perennial.index.{module}.device_for", lambda cost: "cpu")
    trained = template.train_template(vectors, factory=factory, seed=3)
    index = encoded(vectors, factory=factory, template=trained)
    assert trained.ntotal == 0 and trained.quantizer.ntotal == 16
    assert index.ntotal == 2000 and list_sizes(index).min() > 0
    index.nprobe = 16
    assert (index.search(vectors, 1)[1].ravel() == np.arange(2000)).mean() > 0.99


def test_little_work_asks_for_no_gpu_and_imports_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_device", lambda: pytest.fail("asked for a device"))
    assert gpu.device_for(1e9) is None
