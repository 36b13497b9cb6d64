"""The build of ten million vectors on an NVIDIA GPU and on the CPU, where there is a GPU."""

import os
from pathlib import Path

import numpy as np

from infra.bench.measured import watched
from infra.bench.row import Row, row

ROWS, DIMENSION, LISTS = 10_000_000, 128, 4096
_TOPICS = 2_000
_CHUNK = 500_000


def device() -> str | None:
    """What builds of this size run on: "faiss" (its own GPU code), "cuda" (torch), None: the CPU.

    For a process of its own: it starts the GPU, which the CPU's side must not see.
    """
    from perennial.index.gpu import device_for

    return device_for(float(ROWS) * LISTS * DIMENSION)


def build(folder: Path, on_cpu: bool) -> tuple[float, float, float]:
    """Seconds of the build, its peak memory in MB, and recall@10 of 200 rows at nprobe 32.

    For a process of its own: the CPU's side hides the GPU before anything looks for it.
    """
    if on_cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import faiss

    from perennial.index.codes import encoded
    from perennial.index.factory import Factory
    from perennial.index.template import train_template

    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    queries = np.load(folder / "queries.npy")
    factory = Factory("IVF", lists=LISTS)
    with watched() as cost:
        template = train_template(vectors, factory=factory, seed=1)
        index = encoded(vectors, factory=factory, template=template)
    index.nprobe = 32
    _, found = index.search(queries, 10)
    _, exact = faiss.knn(queries, np.asarray(vectors), 10, faiss.METRIC_INNER_PRODUCT)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)])
    return cost.seconds, cost.peak_mb, float(recall)


def make(folder: Path) -> None:
    """Ten million unit vectors in topics, written in chunks, and 200 queries."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    topics = generator.standard_normal((_TOPICS, DIMENSION), dtype=np.float32)
    shape = (ROWS, DIMENSION)
    out = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, shape)
    for start in range(0, ROWS, _CHUNK):
        out[start : start + _CHUNK] = _drawn(generator, topics, _CHUNK)
    out.flush()
    np.save(folder / "queries.npy", _drawn(generator, topics, 200))


def rows(measured: dict[str, tuple[float, float, float]], *, found: str | None) -> list[Row]:
    """The rows of what was built, {"gpu": ..., "cpu": ...}; without a GPU, that it was not."""
    name = f"build of {ROWS:,} x {DIMENSION}, IVF{LISTS:,}"
    if found is None or len(measured) < 2:
        why = "no NVIDIA GPU here" if found is None else "it failed; the error stands above"
        return [row(f"{name} on a GPU", None, "s", against=why)]
    (gpu, gpu_mb, gpu_recall), (cpu, cpu_mb, cpu_recall) = measured["gpu"], measured["cpu"]
    where = "FAISS" if found == "faiss" else "torch"
    return [
        row(f"{name} on the GPU, by {where}", gpu, "s", against="the CPU", base=cpu),
        row(f"{name} on {os.cpu_count()} CPU cores", cpu, "s"),
        row("recall@10 of the GPU's build, nprobe 32", gpu_recall, "recall@10",
            against="the CPU's build", base=cpu_recall),
        row("peak memory of the GPU's build, on the host", gpu_mb, "MB", against="the CPU's build",
            base=cpu_mb),
    ]  # fmt: skip


def _drawn(generator: np.random.Generator, topics: np.ndarray, count: int) -> np.ndarray:
    drawn = generator.standard_normal((count, DIMENSION), dtype=np.float32)
    drawn += topics[generator.integers(0, len(topics), count)]
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn
