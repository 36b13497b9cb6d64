"""bfloat16 search: exact scores, and nearly the ranks of exact search."""

import numpy as np
import pytest

from perennial.index.exact import chunks_of, exact_search
from perennial.index.narrow import narrow_search


@pytest.mark.parametrize("documents", [7, 3000, 40_000])
def test_it_finds_what_exact_search_finds(documents: int) -> None:
    rng = np.random.default_rng(documents)
    vectors = rng.standard_normal((documents + 20, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries, rows = vectors[:20], vectors[20:]
    scores, found = narrow_search(queries, rows, 10)
    wanted, near = exact_search(queries, chunks_of(rows), 10)
    known = found >= 0
    assert np.array_equal(known, near >= 0)
    exact = np.einsum("qd,qkd->qk", queries, rows[found])
    assert np.allclose(scores[known], exact[known], atol=1e-6)
    assert np.allclose(scores[known], wanted[known], atol=1e-2)
    common = [len(set(a) & set(b)) for a, b in zip(found.tolist(), near.tolist(), strict=True)]
    assert np.mean(common) >= 0.98 * near.shape[1] if documents > 10 else True
