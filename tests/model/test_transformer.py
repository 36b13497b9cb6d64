"""A tiny BERT of random weights through the same doors: encode, learn, save as safetensors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_bert import DIMENSION
from tiny_encoder import HELD, things, train

from perennial.errors import BadInput
from perennial.model.digest import directory_digest
from perennial.model.encoder import load_encoder
from perennial.model.layout import UNSAFE_SUFFIXES
from perennial.model.trainable import TrainableTransformer, load_trainable

pytestmark = pytest.mark.slow


@pytest.fixture
def directory(tiny_bert: Path) -> Path:
    return tiny_bert


def load(directory: Path) -> TrainableTransformer:
    model = load_trainable(directory, max_tokens=32, device=torch.device("cpu"))
    assert isinstance(model, TrainableTransformer)
    return model


def test_it_learns_and_saves_nothing_but_safetensors(directory: Path, tmp_path: Path) -> None:
    model = load(directory)
    trained = train(model, epochs=2, held=HELD, learning_rate=0.003)
    assert trained.history[-1].loss < trained.history[0].loss
    model.save(tmp_path / "saved")
    names = {path.name for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    assert "model.safetensors" in names
    assert not {Path(name).suffix for name in names} & UNSAFE_SUFFIXES
    encoder = load_encoder(tmp_path / "saved")
    assert (encoder.dimension, encoder.max_tokens) == (DIMENSION, 32)
    asked = things().documents
    with torch.no_grad():
        learned = model.embed(model.prepare(asked), np.arange(len(asked))).numpy()
    assert ((encoder.encode(asked) * learned).sum(axis=1) >= 1 - 1e-5).all()


def test_two_runs_give_the_same_bytes(directory: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        model = load(directory)
        train(model, epochs=1, held=HELD, learning_rate=0.003)
        model.save(tmp_path / name)
    assert directory_digest(tmp_path / "one") == directory_digest(tmp_path / "two")


def test_a_run_that_was_stopped_continues_to_the_same_weights(
    directory: Path, tmp_path: Path
) -> None:
    whole, again = load(directory), load(directory)
    wanted = train(whole, epochs=2, learning_rate=0.003)

    def stop(step: object, total: int, pace: object) -> None:
        if len(seen) == 6:
            raise KeyboardInterrupt
        seen.append(step)

    seen: list[object] = []
    checkpoint = tmp_path / "c.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(load(directory), epochs=2, learning_rate=0.003, checkpoint=checkpoint, report=stop)
    assert train(again, epochs=2, learning_rate=0.003, checkpoint=checkpoint) == wanted
    for one, two in zip(whole.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(one, two)


def test_one_text_alone_is_the_same_text_in_a_batch(directory: Path) -> None:
    encoder = load_encoder(directory, batch_size=8)
    asked = [*things().documents[:20], "", "😀", "word " * 500, "a", "\ud83d half"]
    together = encoder.encode(asked)
    assert together.shape == (len(asked), DIMENSION) and np.isfinite(together).all()
    for text, row in zip(asked, together, strict=True):
        assert float(encoder.encode([text])[0] @ row) >= 1 - 1e-5
    assert encoder.encode([]).shape == (0, DIMENSION)


def test_code_of_its_own_is_refused_before_anything_is_loaded(
    directory: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(directory, tmp_path / "copy")
    modules = json.loads((copy / "modules.json").read_text())
    modules[0]["type"] = "modeling_evil.Evil"
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BadInput, match="modeling_evil"):
        load_trainable(copy, max_tokens=32, device=torch.device("cpu"))
