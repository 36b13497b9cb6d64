"""What is gathered from shards is what one process finds, and small work stays where it is."""

import itertools

import numpy as np
import pytest

from perennial.compute import place as module
from perennial.compute.place import HERE, in_order, open_compute
from perennial.compute.work import Embed, Search
from perennial.errors import IntegrityError
from perennial.index import exact
from perennial.index.exact import chunks_of, exact_search
from perennial.index.narrow import narrow_search


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(exact, "CHUNK_ROWS", 512)
    monkeypatch.setattr(module, "CHUNK_ROWS", 512)


def unit(rows, *, seed):
    vectors = np.random.default_rng(seed).standard_normal((rows, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("is_narrow", [False, True])
@pytest.mark.parametrize("k", [1, 10, 600])
def test_what_is_found_by_chunks_in_any_order_is_what_one_search_finds(small_chunks, is_narrow, k):
    queries, vectors = unit(40, seed=1), unit(2000, seed=2)
    vectors[700:720] = vectors[:20]  # ties, across chunks
    find = Search(is_narrow).ready("nowhere")
    found = [find(queries, part, k) for _, part in chunks_of(vectors)]
    whole = narrow_search if is_narrow else None
    alone = whole(queries, vectors, k) if whole else exact_search(queries, chunks_of(vectors), k)
    for order in itertools.permutations(range(4)):
        scores, rows = in_order(((n, found[n]) for n in order), queries=40, k=k)
        np.testing.assert_array_equal(scores, alone[0])
        np.testing.assert_array_equal(rows, alone[1])


def test_an_encoder_that_did_not_come_whole_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "modules.json").write_text("not even JSON")
    with pytest.raises(IntegrityError, match="the encoder that came to a worker is sha256:"):
        Embed("sha256:" + "0" * 64, 8).ready(tmp_path)


def test_local_is_the_callers_own_process_and_ray_is_not_joined_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "joined", lambda address: pytest.fail("joined for nothing"))
    given = {"address": None, "cpus": 1, "ahead": 1, "patience_seconds": 1.0}
    with open_compute(backend="local", **given) as here:
        assert here is HERE
    with open_compute(backend="ray", **given) as there:
        encode = there.encoding("sha256:" + "0" * 64, tmp_path, batch_size=8)
        assert list(encode(iter([]))) == []
        assert there.neighbours(unit(100, seed=1), is_narrow=False) is None
