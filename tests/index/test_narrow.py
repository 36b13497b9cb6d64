"""bfloat16 search: rounding never costs a neighbour, whatever the vectors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.index import narrow
from perennial.index.exact import chunks_of, exact_search
from perennial.index.rounding import doubt, floors, rounded

SHAPES = (
    "even",
    "clustered",
    "nearly equal",
    "of many lengths",
    "whole numbers",
    "with zeros",
    "cancelling",
)


def world(shape: str, seed: int, *, rows: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """13 queries and so many rows that rounding, ties or lengths make hard to tell apart."""
    rng = np.random.default_rng(seed)
    every = rng.standard_normal((rows + 13, dimension))
    if shape == "clustered":
        every = every[rng.integers(0, 5, len(every))] + 0.05 * every
    elif shape == "nearly equal":
        every = every[:1] + 2e-3 * every
    elif shape == "of many lengths":
        every *= 10.0 ** rng.integers(-6, 6, (len(every), 1))
    elif shape == "whole numbers":
        every = np.round(every)
    elif shape == "cancelling":  # scores near zero, the sums of large products
        sign = np.where(np.arange(len(every)) < rows, -1.0, 1.0)[:, None]
        half = every[:, : dimension // 2]
        every[:, dimension // 2 : 2 * (dimension // 2)] = sign * half + 1e-3 * half[:, ::-1]
    elif shape == "with zeros":
        every[rng.integers(0, len(every), len(every) // 4)] = 0.0
    every = every.astype(np.float32)
    return every[rows:], every[:rows]


def by_pairs(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The slow twin: every pair's score, of equal ones the lower row first."""
    every = np.stack([np.einsum("ij,ij->i", query[None], vectors) for query in queries])
    near = np.argsort(-every, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(every, near, axis=1), near


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.sampled_from(SHAPES),
    st.integers(0, 10_000),
    st.integers(1, 20),
    st.integers(1, 40),
    st.integers(650, 800),
)
def test_it_finds_what_scoring_every_pair_finds(
    shape: str, seed: int, k: int, dimension: int, rows: int
) -> None:
    queries, vectors = world(shape, seed, rows=rows, dimension=dimension)
    with pytest.MonkeyPatch.context() as patch:
        for name, number in {"_QUERIES": 10, "_BLOCK": 6, "_ROWS": 320, "_PAIRS": 50}.items():
            patch.setattr(narrow, name, number)
        crowds: list[int] = []
        patch.setattr(narrow, "exact_search", lambda *a: crowds.append(1) or exact_search(*a))
        scores, found = narrow.narrow_search(queries, vectors, k)
    wanted, near = by_pairs(queries, vectors, k)
    if not crowds:
        assert np.array_equal(found, near)
        assert np.array_equal(scores, wanted)
    bound = 1e-6 * np.linalg.norm(queries, axis=1).max() * np.linalg.norm(vectors, axis=1).max()
    assert np.allclose(scores, wanted, rtol=0.0, atol=dimension * bound)
    assert all(len(set(row)) == k for row in found.tolist())


@pytest.mark.parametrize("documents", [7, 3000, 40_000])
def test_it_finds_what_exact_search_finds(documents: int) -> None:
    queries, vectors = world("clustered", documents, rows=documents, dimension=24)
    scores, found = narrow.narrow_search(queries, vectors, 10)
    wanted, near = exact_search(queries, chunks_of(vectors), 10)
    assert np.array_equal(found, near)
    assert np.allclose(scores, wanted, rtol=1e-5)


def test_rows_that_cannot_be_told_apart_are_left_to_float32() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.standard_normal((2, 1, 16)).astype(np.float32)
    vectors = np.repeat(one, 20_000, axis=0)
    vectors[12_345] *= np.float32(1.00001)  # bfloat16 sees no difference
    scores, found = narrow.narrow_search(np.concatenate([one, other]), vectors, 5)
    assert found[0, 0] == 12_345
    assert np.allclose(scores[1], (other @ one.T)[0, 0], rtol=1e-4)


@settings(max_examples=30)
@given(st.sampled_from(SHAPES), st.integers(0, 10_000), st.integers(1, 40))
def test_no_product_is_further_off_than_the_doubt(shape: str, seed: int, dimension: int) -> None:
    queries, vectors = world(shape, seed, rows=50, dimension=dimension)
    asked, rows = rounded(queries), rounded(vectors)
    apart = doubt(asked, longest=float(rows.lengths.max()), most_lost=float(rows.lost.max()))
    products = (asked.rows @ rows.rows.T).double().numpy()
    true = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    assert (np.abs(true - products) <= apart.numpy()[:, None] + 2.0**-8 * np.abs(products)).all()
    floor = floors(torch.from_numpy(products).bfloat16()[:, 0], apart).double().numpy()
    is_below = products < floor[:, None]
    assert (true < true[:, :1])[is_below].all()
