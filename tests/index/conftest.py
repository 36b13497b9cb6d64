"""What the index's tests share."""

from collections.abc import Iterator

import faiss
import pytest


@pytest.fixture
def one_thread() -> Iterator[None]:
    """FAISS's threads wait for each other: beside other tests one alone is far faster."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)
