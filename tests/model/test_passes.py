"""Gradient caching: the gradient of the whole batch in the memory of a piece, dropout and all."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_encoder import things

from perennial.model.passes import forward
from perennial.model.team import ALONE
from perennial.model.trainable import load_trainable

pytestmark = pytest.mark.slow


def gradients(directory: Path, *, cached: bool, budget: int, seed: int = 4) -> list[torch.Tensor]:
    model = load_trainable(directory, max_tokens=32, device=torch.device("cpu"), budget=budget)
    model.module.double().train()
    for module in model.module.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.2
    tokens = model.prepare(things().documents)
    rows = np.array([3, 17, 5, 60, 61, 9, 12])
    vectors, back = forward(model, tokens, rows, team=ALONE, is_cached=cached, seed=[seed])
    assert vectors.dtype == torch.float64 and vectors.is_leaf
    similarity = vectors @ vectors.T
    torch.autograd.backward(torch.logsumexp(5 * similarity, dim=1).sum())
    assert vectors.grad is not None
    back(vectors.grad)
    return [p.grad for p in model.module.parameters() if p.grad is not None]


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_the_cached_gradient_is_the_uncached_one(tiny_bert: Path, budget: int) -> None:
    whole = gradients(tiny_bert, cached=False, budget=budget)
    cached = gradients(tiny_bert, cached=True, budget=budget)
    assert len(whole) == len(cached) > 10
    for one, two in zip(whole, cached, strict=True):
        assert torch.allclose(one, two, rtol=0, atol=1e-5)
    assert max(float(g.abs().max()) for g in whole) > 1e-2  # dropout at work, and a real gradient


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("teaching", [[], [2], [0, 3, 6]])
def test_what_teaches_nothing_is_not_forwarded_again_and_the_gradient_is_the_same(
    tiny_bert: Path, teaching: list[int], dropout: float
) -> None:
    found, forwarded = [], []
    for cached in (False, True):
        model = load_trainable(
            tiny_bert, max_tokens=32, device=torch.device("cpu"), budget=1, dropout=dropout
        )
        model.module.double().train()
        tokens, rows = model.prepare(things().documents), np.arange(7)
        vectors, back = forward(model, tokens, rows, team=ALONE, is_cached=cached, seed=[3])
        model.module.register_forward_hook(lambda *_: forwarded.append(1))
        gradient = torch.zeros_like(vectors)
        gradient[teaching] = torch.arange(1.0, 17.0, dtype=torch.float64)
        back(gradient)
        found.append([p.grad for p in model.module.parameters() if p.grad is not None])
    assert len(forwarded) == max(1, len(teaching))
    assert len(found[0]) == len(found[1]) > 10  # zeros where nothing teaches: moments fade
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, rtol=0, atol=1e-9)


def test_dropout_is_drawn_anew_for_every_step(tiny_bert: Path) -> None:
    one, other = (gradients(tiny_bert, cached=True, budget=40, seed=seed) for seed in (4, 5))
    assert not all(torch.allclose(a, b) for a, b in zip(one, other, strict=True))


def test_the_gradient_is_that_of_one_plain_forward(tiny_bert: Path) -> None:
    """Against torch's own way through the whole model, dropout off."""
    model = load_trainable(tiny_bert, max_tokens=32, device=torch.device("cpu"), budget=30)
    model.module.double().eval()
    tokens, rows = model.prepare(things().documents), np.arange(9)

    def loss(vectors: torch.Tensor) -> torch.Tensor:
        return ((vectors @ vectors.T) ** 3).sum()

    vectors, back = forward(model, tokens, rows, team=ALONE, is_cached=True, seed=[0])
    loss(vectors).backward()
    assert vectors.grad is not None
    back(vectors.grad)
    ours = [p.grad.clone() for p in model.module.parameters() if p.grad is not None]
    model.module.zero_grad()
    loss(model.embed(tokens, rows)).backward()
    plain = [p.grad for p in model.module.parameters() if p.grad is not None]
    for one, two in zip(ours, plain, strict=True):
        assert torch.allclose(one, two, rtol=1e-9, atol=1e-9)
