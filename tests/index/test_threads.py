"""A single query is answered by one thread, and leaves the others' threads alone."""

import os
import subprocess
import sys
import threading

import faiss
import numpy as np

from perennial.index.segment import FEW_QUERIES, Segment, build_vectors, search_segment

COUNT_THREADS = """
import os, sys
import numpy as np
from perennial.index.segment import Segment, build_vectors, search_segment
rows = np.random.default_rng(0).standard_normal((5000, 64)).astype(np.float32)
dead = np.zeros(len(rows), dtype=bool)
segment = Segment(build_vectors(rows, factory="Flat", nprobe=1, seed=0), dead.astype(object), dead)
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
search_segment(segment, rows[: int(sys.argv[1])], 10, nprobe=None)
print(threads() - before)
"""


def threads_made_by_a_search_of(queries: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, str(queries)],
        env=os.environ | {"OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def small_segment() -> tuple[Segment, np.ndarray]:
    rows = np.random.default_rng(0).standard_normal((500, 16)).astype(np.float32)
    dead = np.zeros(len(rows), dtype=bool)
    vectors = build_vectors(rows, factory="Flat", nprobe=1, seed=0)
    return Segment(vectors, np.arange(len(rows)).astype(object), dead), rows


def test_few_queries_wake_no_other_thread_and_many_do():
    assert threads_made_by_a_search_of(1) == 0
    assert threads_made_by_a_search_of(FEW_QUERIES) == 0
    assert threads_made_by_a_search_of(200) > 0


def test_a_search_leaves_the_number_of_threads_as_it_was_here_and_elsewhere():
    segment, rows = small_segment()
    before, elsewhere = faiss.omp_get_max_threads(), []
    faiss.omp_set_num_threads(3)
    try:
        search_segment(segment, rows[:1], 5, nprobe=None)
        assert faiss.omp_get_max_threads() == 3
        faiss.omp_set_num_threads(1)
        other = threading.Thread(target=lambda: elsewhere.append(faiss.omp_get_max_threads()))
        other.start()
        other.join()
    finally:
        faiss.omp_set_num_threads(before)
    assert elsewhere == [before]


def test_one_query_alone_finds_what_it_finds_among_many():
    segment, rows = small_segment()
    _, together = search_segment(segment, rows[:50], 5, nprobe=None)
    alone = [search_segment(segment, rows[i : i + 1], 5, nprobe=None)[1][0] for i in range(50)]
    assert np.array_equal(together, np.stack(alone))
