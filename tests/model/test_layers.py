"""What of a transformer is frozen stays as it is; what is dropped is what was asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny_bert import write_tiny_bert
from tiny_encoder import things, train

from perennial.errors import BadInput
from perennial.model.layers import set_dropout
from perennial.model.trainable import TrainableTransformer, load_trainable

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers that drops a quarter."""
    return write_tiny_bert(tmp_path_factory.mktemp("two"), layers=2, dropout=0.25)


def load(directory: Path, **more: float | int | None) -> TrainableTransformer:
    model = load_trainable(directory, max_tokens=32, device=CPU, **more)  # type: ignore[arg-type]
    assert isinstance(model, TrainableTransformer)
    return model


def weights(model: TrainableTransformer) -> dict[str, torch.Tensor]:
    """By name, but for the pooler, which no vector comes from."""
    found = model.module.named_parameters()
    return {name: value.detach().clone() for name, value in found if ".pooler." not in name}


def group(name: str) -> str:
    """Where a weight lies: embeddings, or a layer's number."""
    return "embeddings" if ".embeddings." in name else name.partition(".layer.")[2][0]


@pytest.mark.parametrize(("layers", "frozen"), [(0, set()), (1, {"embeddings", "0"})])
def test_frozen_weights_do_not_move_and_all_others_do(
    directory: Path, layers: int, frozen: set[str]
) -> None:
    model = load(directory, freeze_layers=layers, dropout=0.0)
    before = weights(model)
    assert {group(name) for name in before} == {"embeddings", "0", "1"}
    train(model, epochs=1, learning_rate=0.003)
    after = weights(model)
    for name, value in before.items():
        if group(name) in frozen:
            assert torch.equal(value, after[name]), name
        elif "key.bias" not in name:  # which changes no attention
            assert not torch.equal(value, after[name]), name


def test_the_optimizer_keeps_nothing_of_frozen_weights(directory: Path, tmp_path: Path) -> None:
    model = load(directory, freeze_layers=1)
    train(model, epochs=1, learning_rate=0.003, checkpoint=tmp_path / "c.safetensors")
    wanted = [list(value.shape) for name, value in weights(model).items() if group(name) == "1"]
    with safe_open(tmp_path / "c.safetensors", framework="pt") as stream:
        kept = [name for name in stream.keys() if name.endswith(".exp_avg")]  # noqa: SIM118
        found = [list(stream.get_tensor(name).shape) for name in kept]
    assert sorted(found) == sorted(wanted)


def test_more_layers_than_there_are_cannot_be_frozen(directory: Path) -> None:
    with pytest.raises(BadInput, match=r"freeze_layers is 3, but the encoder has 2 layers; choose"):
        load(directory, freeze_layers=3)


def test_something_must_be_left_to_learn(directory: Path) -> None:
    with pytest.raises(BadInput, match=r"freeze_layers is 2: nothing would be left to learn"):
        load(directory, freeze_layers=2)


def forwards(model: TrainableTransformer) -> tuple[torch.Tensor, torch.Tensor]:
    """The same texts twice, while it learns."""
    model.module.train()
    texts, rows = model.prepare(things().documents), np.arange(20)
    one, two = model.embed(texts, rows), model.embed(texts, rows)
    return one.detach(), two.detach()


def test_without_dropout_two_forwards_are_equal_and_as_it_was_made_they_are_not(
    directory: Path,
) -> None:
    assert torch.equal(*forwards(load(directory, dropout=0.0)))
    one, two = forwards(load(directory, dropout=None))
    assert not torch.allclose(one, two, atol=0.01)


@pytest.mark.parametrize(("asked", "share"), [(None, 0.25), (0.0, 0.0), (0.5, 0.5)])
def test_the_share_that_is_dropped_is_what_was_asked_for_or_what_it_was_made_with(
    directory: Path, asked: float | None, share: float
) -> None:
    model = load(directory, dropout=asked)
    found = {part.p for part in model.module.modules() if isinstance(part, torch.nn.Dropout)}
    assert found == {share}
    model.save(directory.parent / "saved")  # and it is no property of what is written
    again = load(directory.parent / "saved", dropout=None)
    assert {p.p for p in again.module.modules() if isinstance(p, torch.nn.Dropout)} == {0.25}


def test_attention_in_one_call_drops_no_more_than_asked() -> None:
    module = torch.nn.Module()
    module.attention_dropout = 0.1  # type: ignore[assignment]
    module.dropout_prob = 0.1  # type: ignore[assignment]
    set_dropout(module, 0.0)
    assert (module.attention_dropout, module.dropout_prob) == (0.0, 0.0)
