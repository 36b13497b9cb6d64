"""The bfloat16 twin: it computes what its float32 module would, and its module learns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_bert import write_tiny_bert
from tiny_encoder import things, train
from torch.nn.functional import cosine_similarity

from perennial.model.narrow.twin import Twin
from perennial.model.passes import forward
from perennial.model.team import ALONE
from perennial.model.trainable import Trainable, load_trainable

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("two"), layers=2, dropout=0.0)


def load(directory: Path, precision: torch.dtype = torch.bfloat16) -> Trainable:
    return load_trainable(directory, max_tokens=32, device=CPU, budget=100, precision=precision)


def vectors(model: Trainable) -> torch.Tensor:
    with torch.no_grad():
        return model.embed(model.prepare(things().documents), np.arange(40))


def gradients(model: Trainable, *, is_cached: bool = False) -> dict[str, torch.Tensor]:
    """Of a loss over 40 vectors."""
    tokens, rows = model.prepare(things().documents), np.arange(40)
    found, back = forward(model, tokens, rows, team=ALONE, is_cached=is_cached, seed=[1])
    torch.autograd.backward((found @ found.T).square().sum())
    assert found.grad is not None
    back(found.grad)
    learning = model.module.named_parameters()
    return {name: p.grad for name, p in learning if p.grad is not None}


def test_vectors_and_gradients_are_those_of_float32_but_for_the_last_digits(directory) -> None:
    wide, narrow = load(directory, torch.float32), load(directory)
    assert cosine_similarity(vectors(wide), vectors(narrow)).min() > 0.9995
    wanted, found = gradients(wide), gradients(narrow)
    assert wanted.keys() == found.keys() and len(wanted) > 30
    for name, value in wanted.items():
        assert found[name].dtype == torch.float32, name
        if "key.bias" not in name:  # which changes no attention: its gradient is noise
            assert cosine_similarity(value.ravel(), found[name].ravel(), dim=0) > 0.995, name


def test_the_narrow_gradient_is_the_same_with_and_without_caching(directory) -> None:
    once, twice = gradients(load(directory)), gradients(load(directory), is_cached=True)
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_what_learns_stays_float32_and_the_twin_follows_each_step(directory) -> None:
    model = load(directory)
    before = vectors(model)
    trained = train(model, epochs=2, learning_rate=0.003)
    assert trained.history[-1].loss < trained.history[0].loss
    assert {p.dtype for p in model.module.parameters()} == {torch.float32}
    model.module.eval()
    wide = load(directory, torch.float32)
    wide.module.load_state_dict(model.module.state_dict())
    assert cosine_similarity(vectors(wide), vectors(model)).min() > 0.9995
    assert cosine_similarity(before, vectors(model)).min() < 0.99


def test_two_narrow_runs_give_the_same_weights(directory) -> None:
    one, two = load(directory), load(directory)
    train(one, epochs=1, learning_rate=0.003)
    train(two, epochs=1, learning_rate=0.003)
    for mine, theirs in zip(one.module.parameters(), two.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("padding", [None, 0])
def test_a_frequent_word_learns_from_all_its_places(padding: int | None) -> None:
    """Summed in bfloat16, ten thousand small gradients would stand still at a few hundred."""
    table = torch.nn.Embedding(3, 4, padding_idx=padding)
    ids = torch.tensor([[0, 1]] * 10_000)
    twin = Twin(torch.nn.Sequential(table), torch.bfloat16).current()
    torch.autograd.backward(twin(ids).float().sum())
    assert table.weight.grad is not None
    wanted = [[0.0 if padding == 0 else 1e4] * 4, [1e4] * 4, [0.0] * 4]
    assert torch.equal(table.weight.grad, torch.tensor(wanted))


def test_what_is_frozen_has_no_gradient(directory) -> None:
    model = load_trainable(
        directory, max_tokens=32, device=CPU, precision=torch.bfloat16, freeze_layers=1
    )
    names = gradients(model)
    assert names and all(".layer.1." in name or "pooler" in name for name in names)
