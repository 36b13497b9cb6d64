"""Rows that were assigned and encoded in shards make the files that one process makes."""

from pathlib import Path

import numpy as np
import pytest
from tiny_index import build, named, unit

from perennial.index.codes import row_codes
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
