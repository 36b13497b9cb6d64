"""Vectors that an index holds are given back bit by bit; lossy codes give none."""

from pathlib import Path

import numpy as np
import pytest
from tiny_index import FACTORIES, LOSSLESS, MADE_BY, build, digests, grow, named, unit

from perennial.errors import EncoderMismatch
from perennial.index.index import Index
from perennial.index.known import known_vectors

COUNT = 400


@pytest.mark.parametrize("factory", FACTORIES)
def test_what_is_held_comes_back_as_it_was_embedded(tmp_path: Path, factory: str) -> None:
    vectors, doc_ids = unit(COUNT), named(COUNT)
    build(tmp_path, vectors, doc_ids, factory=factory)
    order = np.random.default_rng(1).permutation(COUNT)
    asked = ["sha256:unknown", *np.array(digests(doc_ids))[order].tolist(), digests(doc_ids)[7]]
    found, known = known_vectors(tmp_path, encoder_digest=MADE_BY, digests=asked)
    assert not known[0] and not found[0].any()
    made = Index.open(tmp_path, encoder_digest=MADE_BY).factory  # too few rows for PQ: Flat
    if made not in LOSSLESS:
        assert not known.any()
        return
    assert known[1:].all()
    assert found[1:].tobytes() == vectors[[*order, 7]].tobytes()


def test_dead_rows_and_later_segments_are_told_apart(tmp_path: Path) -> None:
    old, new = unit(60), unit(9, seed=2)
    build(tmp_path, old, named(60), factory="Flat")
    grow(tmp_path, new, named(9), dead={0: list(range(9))})
    asked = [*digests(named(60)), *digests(named(9), version=1)]
    found, known = known_vectors(tmp_path, encoder_digest=MADE_BY, digests=asked)
    assert np.flatnonzero(~known).tolist() == list(range(9))
    assert found[9:].tobytes() == np.concatenate([old[9:], new]).tobytes()


def test_of_another_encoder_nothing_is_taken(tmp_path: Path) -> None:
    build(tmp_path, unit(40), named(40))
    with pytest.raises(EncoderMismatch):
        known_vectors(tmp_path, encoder_digest="sha256:" + "b" * 64, digests=[])
