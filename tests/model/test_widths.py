"""Matryoshka: vectors cut to their first coordinates, and the encoder that cuts them itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_encoder import DIMENSION, HELD, static_model, things, tokenizer, train, write_encoder

from perennial.model.digest import directory_digest
from perennial.model.encoder import load_encoder
from perennial.model.trainable import load_trainable
from perennial.model.widths import narrowed

CPU = torch.device("cpu")
TEXTS = [*things().documents, *things().queries, "", "😀"]


def cut(rows: np.ndarray, width: int) -> np.ndarray:
    """The slow twin of `narrowed`."""
    found = []
    for row in rows[:, :width].astype(np.float64):
        length = np.sqrt((row**2).sum())
        found.append(row / length if length > 1e-6 else row)
    return np.array(found)


def saved(model: Path, to: Path, *, width: int) -> Path:
    load_trainable(model, max_tokens=32, device=CPU).save(to, width=width)
    return to


def test_cut_vectors_are_the_first_coordinates_made_unit_length_again() -> None:
    rows = np.random.default_rng(1).standard_normal((9, 6))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    given = torch.from_numpy(rows)
    assert narrowed(given, 4).numpy() == pytest.approx(cut(rows, 4), abs=1e-12)
    assert narrowed(given, None) is given and narrowed(given, 6) is given


@pytest.mark.parametrize("width", [2, 7, DIMENSION])
def test_a_static_encoder_that_was_cut_makes_the_cut_vectors(tmp_path: Path, width: int) -> None:
    whole = write_encoder(tmp_path / "whole")
    encoder = load_encoder(saved(whole, tmp_path / "cut", width=width))
    assert encoder.dimension == width
    assert encoder.encode(TEXTS) == pytest.approx(cut(load_encoder(whole).encode(TEXTS), width))


@pytest.mark.slow
@pytest.mark.parametrize("is_normal", [False, True], ids=["plain", "with a last Normalize"])
def test_a_transformer_that_was_cut_makes_the_cut_vectors_wherever_it_is_loaded(
    tiny_bert: Path, tmp_path: Path, is_normal: bool
) -> None:
    from sentence_transformers import SentenceTransformer

    model = load_trainable(tiny_bert, max_tokens=32, device=CPU)
    whole = tmp_path / "whole"
    model.save(whole, width=15 if is_normal else None)  # which ends with a Normalize
    wanted = cut(load_encoder(whole).encode(TEXTS), 5)
    narrow = saved(whole, tmp_path / "cut", width=5)
    encoder = load_encoder(narrow)
    assert (encoder.dimension, encoder.max_tokens) == (5, 32)
    assert encoder.encode(TEXTS) == pytest.approx(wanted, abs=1e-6)
    # Nobody asks this one to normalise: it does so by itself.
    plain = SentenceTransformer(str(narrow), local_files_only=True, device="cpu")
    assert plain.encode(TEXTS) == pytest.approx(wanted, abs=1e-6)
    learner = load_trainable(narrow, max_tokens=32, device=CPU)
    with torch.no_grad():
        learned = learner.embed(learner.prepare(TEXTS[:9]), np.arange(9)).numpy()
    assert learned == pytest.approx(wanted[:9], abs=1e-6)
    saved(whole, tmp_path / "again", width=5)
    assert directory_digest(narrow) == directory_digest(tmp_path / "again")


@pytest.mark.slow
def test_the_graph_of_a_cut_transformer_is_cut(tiny_bert: Path, tmp_path: Path) -> None:
    from tiny_onnx import export

    from perennial.model.onnx.encoder import OnnxEncoder

    narrow = saved(tiny_bert, tmp_path / "cut", width=5)
    (tmp_path / "graph").mkdir()
    export(narrow, tmp_path / "graph")  # proves it equal on 1,000 texts
    assert OnnxEncoder(tmp_path / "graph", digest=directory_digest(narrow)).dimension == 5


@pytest.mark.parametrize("width", [None, 3])
def test_the_best_epoch_is_chosen_by_the_vectors_that_will_serve(
    tmp_path: Path, width: int | None
) -> None:
    model = static_model(tokenizer())
    trained = train(model, epochs=4, held=HELD, learning_rate=0.1, width=width)
    model.save(tmp_path / "saved", width=width)
    encoder, examples = load_encoder(tmp_path / "saved"), things()
    scores = encoder.encode(examples.queries)[HELD] @ encoder.encode(examples.documents).T
    rank = (scores >= scores[np.arange(len(HELD)), HELD][:, None] - 1e-6).sum(axis=1)
    found = np.where(rank <= 10, 1 / rank, 0).mean()
    assert trained.best_validation == pytest.approx(found, abs=1e-6)


def test_a_width_that_was_taught_serves_better_than_one_that_was_not(tmp_path: Path) -> None:
    scores = []
    for dimensions in ([], [4]):
        model = static_model(tokenizer())
        trained = train(
            model, epochs=6, held=HELD, learning_rate=0.05, dimensions=dimensions, width=4
        )
        losses = [step.loss for step in trained.history]
        scores.append((losses[0], ranked(model, tmp_path / str(len(dimensions)))))
    assert scores[0][0] != scores[1][0]
    assert scores[1][1] > scores[0][1] + 0.1


def ranked(model, folder: Path) -> float:
    """The share of training queries whose document is the nearest by 4 coordinates."""
    model.save(folder, width=4)
    encoder, examples = load_encoder(folder), things()
    scores = encoder.encode(examples.queries) @ encoder.encode(examples.documents).T
    taught = np.setdiff1d(np.arange(len(scores)), HELD)
    return float((scores.argmax(axis=1) == np.arange(len(scores)))[taught].mean())
