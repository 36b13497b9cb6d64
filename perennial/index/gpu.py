"""What a GPU does where there is one: k-means, list assignment, exact search.

FAISS's own GPU code where it was installed with it and sees a device, else torch where that does
(faiss-gpu and torch need different CUDA versions, so that often only torch can). Everything else,
and every machine without a GPU, is FAISS on the CPU. The devices' sums differ in their last bits:
bytes are the same only on the same kind of machine.
"""

from functools import cache

import faiss
import numpy as np

# Below it, two seconds of two cores, the GPU would not earn back torch's import.
_WORTH_MULTIPLICATIONS = 2e12
_SCORES = 2**28  # held at once, a gigabyte
_ITERATIONS, _POINTS_PER_CENTROID, _CHUNK_ROWS = 10, 256, 65_536  # as FAISS's own k-means


def device_for(multiplications: float) -> str | None:
    """The word faiss, a torch device, or None where FAISS's CPU does so much work as fast."""
    return _device() if multiplications >= _WORTH_MULTIPLICATIONS else None


@cache
def _device() -> str | None:
    if faiss.get_num_gpus() > 0:
        return "faiss"
    import torch

    return "cuda" if torch.cuda.is_available() else None


def nearest(
    queries: np.ndarray, vectors: np.ndarray, k: int, *, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """(q, d) and (n, d) rows to (scores, rows), both (q, k), by inner product, best first."""
    if device == "faiss":
        resources = faiss.StandardGpuResources()
        metric = faiss.METRIC_INNER_PRODUCT
        scores, rows = faiss.knn_gpu(resources, queries, vectors, k, metric=metric)
        return scores, rows
    import torch

    near = torch.from_numpy(np.ascontiguousarray(vectors)).to(device)
    found, step = [], max(1, _SCORES // len(vectors))
    for start in range(0, len(queries), step):
        part = torch.from_numpy(np.ascontiguousarray(queries[start : start + step])).to(device)
        best = torch.topk(part @ near.T, k, dim=1)
        found.append((best.values.cpu().numpy(), best.indices.cpu().numpy()))
    return np.concatenate([s for s, _ in found]), np.concatenate([r for _, r in found])


def train_centroids(vectors: np.ndarray, *, lists: int, seed: int, device: str) -> np.ndarray:
    """(n, d) unit rows to (lists, d) unit centroids: spherical k-means, as FAISS trains an IVF."""
    order = np.random.default_rng(seed).permutation(len(vectors))
    sample = vectors[np.sort(order[: _POINTS_PER_CENTROID * lists])]
    if device == "faiss":
        settings = {"niter": _ITERATIONS, "spherical": True, "gpu": True, "seed": seed}
        clustering = faiss.Kmeans(vectors.shape[1], lists, **settings)
        clustering.train(sample)
        return np.asarray(clustering.centroids)
    import torch

    points = torch.from_numpy(sample).to(device)
    start = np.random.default_rng(seed + 1).choice(len(sample), lists, replace=False)
    centroids = points[torch.from_numpy(start).to(device)]
    for _ in range(_ITERATIONS):
        starts = range(0, len(points), _CHUNK_ROWS)
        best = [(points[s : s + _CHUNK_ROWS] @ centroids.T).max(dim=1) for s in starts]
        near, own = torch.cat([b.values for b in best]), torch.cat([b.indices for b in best])
        sums = torch.zeros_like(centroids).index_add_(0, own, points)
        empty = (torch.bincount(own, minlength=lists) == 0).nonzero().ravel()
        # An empty list starts again at one of the points that no centroid is near to.
        sums[empty] = points[near.argsort(stable=True)[: len(empty)]]
        centroids = torch.nn.functional.normalize(sums, dim=1)
    return np.asarray(centroids.cpu().numpy())
