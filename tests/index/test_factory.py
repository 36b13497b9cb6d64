"""Which index types are taken, which are refused by name, and which one auto takes."""

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput
from perennial.index.factory import choose, parse

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("name", "faiss_type"),
    [
        ("Flat", faiss.IndexFlat),
        ("IVF64,Flat", faiss.IndexIVFFlat),
        ("IVF64,SQ8", faiss.IndexIVFScalarQuantizer),
        ("IVF64,PQ8", faiss.IndexIVFPQ),
        ("HNSW32", faiss.IndexHNSWFlat),
    ],
)
def test_a_tested_name_is_what_faiss_calls_it(name: str, faiss_type: type) -> None:
    factory = parse(name, dimension=32)
    assert factory.name == name
    made = faiss.index_factory(32, factory.name, faiss.METRIC_INNER_PRODUCT)
    assert isinstance(made, faiss_type)


def test_other_spellings_of_the_same_type_are_the_same() -> None:
    assert parse("IVF64,PQ8x8", dimension=32) == parse("IVF64,PQ8", dimension=32)
    assert parse("HNSW32,Flat", dimension=32) == parse("HNSW32", dimension=32)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("IVF64,PQ8x4fs", "cannot filter"),
        ("IVF64,PQ8x4fsr", "cannot filter"),
        ("OPQ8,IVF64,PQ8", "cannot be merged"),
        ("PCA16,IVF64,Flat", "cannot be merged"),
        ("NSG32,Flat", "neither filter nor grow"),
        ("IMI2x8,Flat", "merges none"),
        ("LSH", "cannot filter"),
        ("IDMap,Flat", "ids are kept beside the vectors"),
        ("HNSW32,PQ8", "was not tested"),
        ("IVF64_HNSW32,Flat", "does not merge the same way twice"),
        ("IVF0,Flat", "was not tested"),
        ("flat", "was not tested"),
        ("", "was not tested"),
    ],
)
def test_any_other_name_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(BadInput, match=f"{name!r} is refused: .*{reason}.*choose one of auto"):
        parse(name, dimension=32)


def test_a_pq_that_does_not_divide_the_dimensions_is_refused() -> None:
    with pytest.raises(BadInput, match="cuts 32 dimensions into 5 parts"):
        parse("IVF64,PQ5", dimension=32)


@pytest.mark.parametrize("links", [2, 65])
def test_a_graph_of_too_few_or_too_many_links_is_refused(links: int) -> None:
    with pytest.raises(BadInput, match="choose 4 to 64"):
        parse(f"HNSW{links}", dimension=32)


@pytest.mark.parametrize(
    ("rows", "dimension", "memory_mb", "recall_target", "name"),
    [
        (11_000, 256, 4096, 0.98, "Flat"),  # the demo
        (1, 256, 4096, 0.98, "Flat"),
        (200_000, 384, 4096, 0.98, "IVF1024,Flat"),
        (200_000, 384, 4096, 0.99, "HNSW32"),
        (200_000, 384, 4096, 1.0, "Flat"),
        (200_000, 384, 400, 0.99, "IVF1024,Flat"),  # a graph needs room for two
        (200_000, 384, 100, 0.98, "IVF1024,SQ8"),
        (200_000, 384, 20, 0.98, "IVF1024,PQ48"),
        (200_000, 384, 10, 0.98, "IVF1024,PQ24"),
        (10_000_000, 128, 8192, 0.99, "IVF8192,Flat"),
        (200_000, 7, 3, 0.9, "IVF1024,SQ8"),
    ],
)
def test_auto_takes_the_fastest_that_fits(
    rows: int, dimension: int, memory_mb: int, recall_target: float, name: str
) -> None:
    chosen = choose(
        rows=rows, dimension=dimension, memory_mb=memory_mb, recall_target=recall_target
    )
    assert chosen.name == name


def test_auto_says_how_much_memory_the_smallest_would_need() -> None:
    with pytest.raises(BadInput, match=r"need 7 MB even as IVF1024,PQ24, but .* is 2;"):
        choose(rows=200_000, dimension=384, memory_mb=2, recall_target=0.98)


@given(
    rows=st.integers(1, 10_000) | st.integers(1, 20_000_000),
    dimension=st.integers(2, 2048),
    memory_mb=st.integers(1, 100_000),
    recall_target=st.floats(0.5, 1.0),
)
def test_what_auto_takes_is_tested_fits_and_can_be_trained(
    rows: int, dimension: int, memory_mb: int, recall_target: float
) -> None:
    try:
        chosen = choose(
            rows=rows, dimension=dimension, memory_mb=memory_mb, recall_target=recall_target
        )
    except BadInput:
        return
    assert parse(chosen.name, dimension=dimension) == chosen
    assert rows * chosen.bytes_per_row(dimension) <= memory_mb * 2**20
    assert rows >= chosen.least_rows


@pytest.mark.parametrize("name", ["Flat", "IVF16,Flat", "IVF16,SQ8", "IVF16,PQ8", "HNSW16"])
def test_the_stated_bytes_of_a_row_are_those_that_faiss_holds(name: str) -> None:
    rows = np.random.default_rng(0).standard_normal((6000, 32)).astype(np.float32)
    index = faiss.index_factory(32, f"{name}np" if "PQ" in name else name)
    index.train(rows)
    before = faiss.serialize_index(index).nbytes
    index.add(rows)
    held = (faiss.serialize_index(index).nbytes - before) / len(rows)
    assert held == pytest.approx(parse(name, dimension=32).bytes_per_row(32), rel=0.05)
