"""A single query is answered by one thread, and leaves the others' threads alone."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa

from perennial.index.index import Index
from perennial.index.search import FEW_QUERIES
from perennial.index.segment import Rows, Segment
from perennial.index.selection import SliceCodes

COUNT_THREADS = """
import os, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from test_threads import small_index
index, rows = small_index(5000, 64)
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
index.search(rows[: int(sys.argv[1])], 10)
print(threads() - before)
"""


def threads_made_by_a_search_of(queries: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, str(queries), str(Path(__file__).parent)],
        env=os.environ | {"OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def small_index(count: int = 500, dimension: int = 16) -> tuple[Index, np.ndarray]:
    rows = np.random.default_rng(0).standard_normal((count, dimension)).astype(np.float32)
    vectors = faiss.IndexFlatIP(dimension)
    vectors.add(rows)
    doc_ids = pa.array([f"d{row}" for row in range(count)])
    segment = Segment(Rows(vectors, doc_ids, SliceCodes(None, {})), np.zeros(count, dtype=bool))
    return Index("sha256:" + "a" * 64, dimension, "Flat", {}, (segment,)), rows


def test_few_queries_wake_no_other_thread_and_many_do():
    assert threads_made_by_a_search_of(1) == 0
    assert threads_made_by_a_search_of(FEW_QUERIES) == 0
    assert threads_made_by_a_search_of(200) > 0


def test_a_search_leaves_the_number_of_threads_as_it_was_here_and_elsewhere():
    index, rows = small_index()
    before, elsewhere = faiss.omp_get_max_threads(), []
    faiss.omp_set_num_threads(3)
    try:
        index.search(rows[:1], 5)
        assert faiss.omp_get_max_threads() == 3
        faiss.omp_set_num_threads(1)
        other = threading.Thread(target=lambda: elsewhere.append(faiss.omp_get_max_threads()))
        other.start()
        other.join()
    finally:
        faiss.omp_set_num_threads(before)
    assert elsewhere == [before]


def test_one_query_alone_finds_what_it_finds_among_many():
    index, rows = small_index()
    _, together = index.search(rows[:50], 5)
    alone = [index.search(rows[i : i + 1], 5)[1][0] for i in range(50)]
    assert np.array_equal(together, np.stack(alone))
