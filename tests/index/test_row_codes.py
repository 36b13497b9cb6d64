"""Rows that were assigned and encoded in shards make the files that one process makes."""

from pathlib import Path

import faiss
import numpy as np
import pytest
from tiny_index import build, named, unit

from perennial.index.codes import append_rows, put_together, row_codes, shards_of
from perennial.index.template import read_template

ROWS = 3000


def in_shards(file, digest, vectors):
    """As workers do it, each with a template that it read itself."""
    found = []
    for start in range(0, len(vectors), 700):
        template, read = read_template(file, dimension=vectors.shape[1])
        assert read == digest
        found.append(row_codes(vectors[start : start + 700], template))
    own, codes = zip(*found, strict=True)
    return np.concatenate(own), np.concatenate(codes)


@pytest.mark.parametrize("factory", ["IVF16,Flat", "IVF16,SQ8", "IVF8,PQ4"])
def test_shards_make_the_same_bytes(tmp_path: Path, factory: str, monkeypatch) -> None:
    monkeypatch.setattr("perennial.index.factory.ROWS_PER_CENTROID", 8)
    vectors, doc_ids = unit(ROWS, dimension=16, seed=1), named(ROWS)
    for name, how in (("whole", None), ("shards", in_shards)):
        index = build(tmp_path / name, vectors, doc_ids, factory=factory, row_codes=how)
        assert index.factory == factory
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert "quantizer.faiss" in files
    for name in files:
        whole, shards = ((tmp_path / each / name).read_bytes() for each in ("whole", "shards"))
        assert whole == shards, name


def test_a_flat_index_is_not_encoded_elsewhere(tmp_path: Path) -> None:
    vectors, doc_ids = unit(50, dimension=16, seed=1), named(50)
    build(tmp_path, vectors, doc_ids, row_codes=lambda *given: pytest.fail("it has no lists"))


def near_ties(*, dimension: int, lists: int) -> tuple[faiss.IndexIVFFlat, np.ndarray]:
    """An empty index, and a row to which every centroid is equally near but for its rounding."""
    generator = np.random.default_rng(1)
    one = generator.standard_normal(dimension).astype(np.float32)
    centroids = np.stack([generator.permutation(one) for _ in range(lists)])
    quantizer = faiss.IndexFlatIP(dimension)
    quantizer.add(centroids)
    index = faiss.IndexIVFFlat(quantizer, dimension, lists, faiss.METRIC_INNER_PRODUCT)
    index.is_trained = True
    index.referenced_objects = [quantizer]
    return index, np.full(dimension, dimension**-0.5, dtype=np.float32)


@pytest.mark.parametrize("more", [0, 1, 5, 19, 20, 16_384])
def test_a_short_tail_is_rounded_as_one_add_rounds_it(more: int) -> None:
    template, row = near_ties(dimension=64, lists=64)
    vectors = np.tile(row, (65_536 + more, 1))
    vectors *= np.linspace(0.5, 1.5, len(vectors), dtype=np.float32)[:, None]
    shards = shards_of(len(vectors))
    assert len(shards) == (2 if more == 16_384 else 1)
    answers = [(n, row_codes(vectors[rows], template)) for n, rows in enumerate(shards)]
    sharded = faiss.IndexIVFFlat(template.quantizer, 64, 64, faiss.METRIC_INNER_PRODUCT)
    append_rows(sharded, *put_together(reversed(answers), shards))
    template.add(vectors)
    whole, shards_made = (faiss.serialize_index(each).tobytes() for each in (template, sharded))
    assert whole == shards_made


@pytest.mark.parametrize("rows", [1, 19, 65_535, 65_536, 65_537, 131_072, 131_077, 147_456])
def test_shards_are_all_rows_in_order_and_none_is_short_but_alone(rows: int) -> None:
    shards = shards_of(rows)
    np.testing.assert_array_equal(
        np.concatenate([np.arange(rows)[shard] for shard in shards]), np.arange(rows)
    )
    assert all(shard.stop - shard.start >= 16_384 for shard in shards[1:])
    assert all(shard.start % 65_536 == 0 for shard in shards)
