"""The vector cache is filled by shards that are embedded elsewhere, ahead and in any order."""

import itertools

import numpy as np
import pytest
from batchy import DIMENSION, ONE, Batchy, many
from tiny_release import fast_folder

from perennial.errors import BadInput
from perennial.model import vectors as module
from perennial.model.vectors import VectorCache


@pytest.fixture
def folder():
    with fast_folder() as place:
        yield place / "vectors"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 16)


def backwards(encoder, *, ahead):
    """So many shards are taken before the last of them is answered first."""

    def encode(shards):
        numbered = enumerate(shards)
        while few := list(itertools.islice(numbered, ahead)):
            for number, texts in reversed(few):
                yield number, encoder.encode(texts)

    return encode


def embed(folder, encoder, texts, digests, **how):
    with VectorCache.open(folder, encoder_digest=ONE, dimension=DIMENSION) as cache:
        return cache.embed(encoder, texts, digests, **how)


@pytest.mark.parametrize("ahead", [1, 2, 3, 99])
def test_shards_taken_ahead_give_the_bytes_of_one_after_another(folder, ahead):
    texts, digests = many(100)
    whole, encoder = embed(folder / "one", Batchy(), texts, digests), Batchy()
    made = embed(folder / "other", encoder, texts, digests, encode=backwards(encoder, ahead=ahead))
    np.testing.assert_array_equal(made, whole)
    assert sorted(encoder.encoded) == sorted(texts)


@pytest.mark.parametrize("ahead", [1, 2, 99])
def test_a_text_of_several_shards_is_of_the_first_whatever_is_under_way(folder, ahead):
    texts, digests = many(60)
    texts, digests = texts + texts[::7] + texts[:20], digests + digests[::7] + digests[:20]
    whole, encoder, told = embed(folder / "one", Batchy(), texts, digests), Batchy(), []
    made = embed(
        folder / "other",
        encoder,
        texts,
        digests,
        encode=backwards(encoder, ahead=ahead),
        progress=told.append,
    )
    np.testing.assert_array_equal(made, whole)
    np.testing.assert_array_equal(made[-20:], made[:20])
    assert sorted(encoder.encoded) == sorted(texts[:60])
    assert sum(told) == len(texts)


def test_shards_that_came_are_kept_when_the_others_fail(folder):
    texts, digests = many(100)

    class Dies(Batchy):
        def encode(self, texts):
            if len(self.encoded) >= 48:
                raise KeyboardInterrupt
            return super().encode(texts)

    first, again = Dies(), Batchy()
    with pytest.raises(KeyboardInterrupt):
        embed(folder, first, texts, digests, encode=backwards(first, ahead=3))
    made = embed(folder, again, texts, digests)
    assert sorted(again.encoded) == sorted(texts[48:])
    np.testing.assert_array_equal(made, embed(folder / "whole", Batchy(), texts, digests))


def test_a_shard_without_a_number_for_each_coordinate_is_refused(folder):
    texts, digests = many(20)

    def encode(shards):
        yield from ((n, np.full((len(t), 8), np.nan, np.float32)) for n, t in enumerate(shards))

    with pytest.raises(BadInput, match="NaN or Inf"):
        embed(folder, Batchy(), texts, digests, encode=encode)
