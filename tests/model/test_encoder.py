"""Encoders: ours against SentenceTransformer's own, and one text against many."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_encoder import DIMENSION, random_vectors, things, tokenizer, write_encoder

from perennial.errors import BadInput
from perennial.model.digest import directory_digest
from perennial.model.encoder import Encoder, load_encoder
from perennial.model.static import tokenize, write_static

STRANGE = ["", "   \n\t", "😀🎉", "ünïcödé", "a" * 5_000, "word " * 2_000, "\ud83d half", "\0"]
texts = st.lists(st.text(max_size=80), max_size=12)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("static") / "encoder")


@pytest.fixture(scope="module")
def encoder(directory: Path) -> Encoder:
    return load_encoder(directory)


def test_an_encoder_knows_its_digest_its_dimension_and_its_cut(
    encoder: Encoder, directory: Path
) -> None:
    assert encoder.digest == directory_digest(directory)
    assert (encoder.dimension, encoder.max_tokens) == (DIMENSION, 32)


def test_a_copy_is_the_same_encoder_and_a_changed_one_is_not(
    encoder: Encoder, directory: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(directory, tmp_path / "copy")
    assert load_encoder(copy).digest == encoder.digest
    other = load_encoder(write_encoder(tmp_path / "other", seed=1))
    assert other.digest != encoder.digest
    again = load_encoder(write_encoder(tmp_path / "again", seed=0))
    assert again.digest == encoder.digest  # same vectors, same bytes


@settings(deadline=None)
@given(texts)
def test_every_text_gets_a_finite_unit_vector_or_zero(encoder: Encoder, texts: list[str]) -> None:
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), DIMENSION) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    norms = np.linalg.norm(vectors, axis=1)
    assert (np.isclose(norms, 1, atol=1e-5) | (norms == 0)).all()


@settings(deadline=None)
@given(texts)
def test_a_text_alone_gets_the_vector_that_it_gets_among_others(
    encoder: Encoder, texts: list[str]
) -> None:
    together = encoder.encode([*STRANGE, *texts])
    for text, row in zip([*STRANGE, *texts], together, strict=True):
        assert np.array_equal(encoder.encode([text])[0], row)


def test_strange_texts_have_vectors_too(encoder: Encoder) -> None:
    vectors = encoder.encode(STRANGE)
    assert np.isfinite(vectors).all()
    assert not vectors[0].any()  # a text without tokens is zero
    assert vectors[2].any()  # no emoji is unknown to a byte-level tokenizer


def test_more_texts_than_a_chunk_are_encoded_in_order(encoder: Encoder) -> None:
    many = [f"{word} {i}" for i in range(130) for word in things().queries[:40]]
    assert len(many) > 5_000
    vectors = encoder.encode(many)
    for row in (0, 4_095, 4_096, len(many) - 1):
        assert np.array_equal(vectors[row], encoder.encode([many[row]])[0])


def test_a_long_text_is_cut_at_its_maximum_of_tokens(encoder: Encoder) -> None:
    words = things().queries
    start = " ".join(words)
    assert np.array_equal(*encoder.encode([start, start + " more of it"]))


def test_a_vector_is_the_mean_of_its_tokens_vectors(encoder: Encoder) -> None:
    trained = tokenizer()
    vectors = np.random.default_rng(0).standard_normal((trained.get_vocab_size(), DIMENSION))
    for text in things().documents[:5]:
        mean = vectors[trained.encode(text, add_special_tokens=False).ids].mean(axis=0)
        assert encoder.encode([text])[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_offsets_cut_the_tokens_of_all_texts_apart() -> None:
    trained = tokenizer()
    several = [*things().documents[:4], "", things().queries[0]]
    ids, offsets = tokenize(trained, several)
    apart = [ids[a:b].tolist() for a, b in pairwise(offsets)]
    assert apart == [trained.encode(text).ids for text in several]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    trained = tokenizer()
    vectors = random_vectors(trained)
    vectors[7, 3] = value
    write_static(tmp_path, trained, vectors, max_tokens=32)
    with pytest.raises(BadInput, match=r"holds NaN or Inf in 1 of \d+ token vectors"):
        load_encoder(tmp_path)


@pytest.mark.slow
def test_sentence_transformers_reads_the_directory_and_agrees(
    encoder: Encoder, directory: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(directory), local_files_only=True, device="cpu")
    asked = [*things().queries, *things().documents, *(t for t in STRANGE if "\ud83d" not in t)]
    theirs = model.encode(asked, normalize_embeddings=True)
    ours = encoder.encode(asked)
    empty = ~ours.any(axis=1)
    assert np.array_equal(empty, ~theirs.any(axis=1))
    assert ((ours * theirs).sum(axis=1)[~empty] >= 1 - 1e-5).all()


@pytest.mark.slow
def test_what_sentence_transformers_saves_again_reads_the_same(
    encoder: Encoder, directory: Path, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(directory), local_files_only=True, device="cpu")
    model.save(str(tmp_path / "saved"), create_model_card=False, safe_serialization=True)
    asked = things().documents
    assert np.array_equal(load_encoder(tmp_path / "saved").encode(asked), encoder.encode(asked))
