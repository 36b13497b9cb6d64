"""The proxy loss against its slow twin, the library's and finite differences; how proxies begin."""

import builtins
import math
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import ProxyNCALoss
from tiny_batch import (
    APART,
    TinyBatch,
    draw_batch,
    gradients,
    has_right_gradients,
    measure,
    measured,
    tiny_batches,
)

from perennial.errors import BadInput
from perennial.model.losses.build import DISTANCES, build_loss
from perennial.model.losses.proxy import ProxyNCA
from perennial.model.losses.schedule import Fixed, Ramp

LIBRARY = {"cosine": CosineSimilarity, "euclidean": LpDistance}


def proxy(distance: str = "cosine", temperature: float = 0.2, *, seed: int | None = 0) -> ProxyNCA:
    """With random proxies of its own, or those of the documents that it meets."""
    loss = ProxyNCA(
        names=40, dimension=4, temperature=Fixed(temperature), distance=DISTANCES[distance]()
    ).double()
    if seed is not None:
        loss.proxies.data.normal_(generator=torch.manual_seed(seed))
        loss.is_met.fill_(True)
    return loss


def slow_loss(loss: ProxyNCA, batch: TinyBatch, distance: str) -> tuple[float, float]:
    apart, temperature = APART[distance], loss.temperature.at(0.0)
    rows = [loss.proxies[name].tolist() for name in batch.names.tolist()]
    proxies = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in rows]
    known = batch.known.tolist()
    costs = []
    for query, own, answers in zip(
        batch.queries.tolist(), batch.positive.tolist(), known, strict=True
    ):
        near = [math.exp(-apart(query, row) / temperature) for row in proxies]
        others = [s for n, s in enumerate(near) if not answers[n]]
        costs.append(-math.log(near[own] / (near[own] + sum(others))))
    active = sum(math.exp(-cost) < 0.99 for cost in costs) / len(costs)
    for own, document in enumerate(batch.documents.tolist()):
        near = [math.exp(-apart(document, row) / temperature) for row in proxies]
        others = [
            s
            for n, s in enumerate(near)
            if n != own and not any(answers[n] and answers[own] for answers in known)
        ]
        costs.append(-math.log(near[own] / (near[own] + sum(others))))
    return sum(costs) / len(costs), active


@pytest.mark.parametrize("distance", DISTANCES)
@given(tiny_batches, st.sampled_from([0.03, 0.2, 1.0]))
def test_the_loss_is_that_of_the_slow_twin(
    distance: str, batch: TinyBatch, temperature: float
) -> None:
    loss = proxy(distance, temperature)
    assert measured(loss, batch) == pytest.approx(slow_loss(loss, batch, distance), abs=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
def test_where_a_query_has_one_answer_the_loss_is_that_of_the_library(distance: str) -> None:
    batch, loss = draw_batch(2, known_share=0.0), proxy(distance)
    library = ProxyNCALoss(9, 4, softmax_scale=5, distance=LIBRARY[distance]()).double()
    library.proxies.data = loss.proxies.data[batch.names]
    rows = torch.cat([batch.queries, batch.documents])
    wanted = library(rows, torch.cat([batch.positive, torch.arange(9)]))
    assert measured(loss, batch)[0] == pytest.approx(wanted.item(), abs=1e-9)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_gradient_is_that_of_finite_differences(distance: str) -> None:
    batch, loss = draw_batch(1, queries=4, documents=5), proxy(distance)
    assert has_right_gradients(loss, batch)

    def value(proxies: torch.Tensor) -> torch.Tensor:
        found = torch.func.functional_call(
            loss,
            {"proxies": proxies},
            (batch.queries, batch.documents),
            {**batch.masks, "progress": 0.0},
        )
        return found.loss

    assert torch.autograd.gradcheck(value, (loss.proxies.detach().clone().requires_grad_(),))


def test_a_query_whose_every_document_is_known_moves_nothing() -> None:
    batch = draw_batch(3)
    batch.known[2] = True
    assert gradients(proxy(), batch)[0][2].tolist() == [0.0] * 4
    batch.known[:] = True
    assert measured(proxy(), batch) == (0.0, 0.0)
    assert not any(g.any() for g in gradients(proxy(), batch))


def test_a_proxy_begins_where_its_document_is_met_and_then_goes_its_own_way() -> None:
    batch, loss = draw_batch(4), proxy(seed=None)
    measure(loss, batch)
    assert torch.equal(loss.proxies[batch.names], batch.documents)
    assert loss.is_met.sum() == len(batch.names)
    measure(loss, TinyBatch(**{**vars(batch), "documents": -batch.documents}))
    assert torch.equal(loss.proxies[batch.names], batch.documents)
    measure(loss, batch).loss.backward()
    assert loss.proxies.grad is not None
    assert loss.proxies.grad.any(dim=1).sum() == len(batch.names)


def test_narrower_vectors_meet_the_first_coordinates_of_the_proxies() -> None:
    batch, loss = draw_batch(4), proxy()
    narrow = [torch.nn.functional.normalize(v[:, :2]) for v in (batch.queries, batch.documents)]
    found = loss(*narrow, **batch.masks, progress=0.0)
    short = ProxyNCA(names=40, dimension=2, temperature=Fixed(0.2)).double()
    short.proxies.data = loss.proxies.data[:, :2].clone()
    short.is_met.fill_(True)
    assert found.loss.item() == short(*narrow, **batch.masks, progress=0.0).loss.item()


def test_a_hopeless_query_is_not_forgotten_in_float32() -> None:
    batch, loss = draw_batch(5), proxy(temperature=0.005).float()
    batch = TinyBatch(
        **{**vars(batch), "queries": batch.queries.float(), "documents": batch.documents.float()}
    )
    loss.proxies.data[batch.names] = -batch.documents
    assert all(g.any(dim=1).all() for g in gradients(loss, batch))
    assert measure(loss, batch).loss.dtype == torch.float32


def test_the_temperature_follows_the_run() -> None:
    batch = draw_batch(7)
    changing = proxy()
    changing.temperature = Ramp(0.1, 0.5)
    assert measured(changing, batch, progress=0.25) == pytest.approx(measured(proxy(), batch))


def test_without_the_library_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def bare(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pytorch_metric_learning"):
            raise ModuleNotFoundError(name=name.partition(".")[0])
        return real(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "perennial.model.losses.proxy")
    monkeypatch.setattr(builtins, "__import__", bare)
    with pytest.raises(BadInput, match=r"pytorch_metric_learning is not installed.*pip install"):
        build_loss(
            "proxy-nca",
            distance="cosine",
            mining=Fixed("batch-hard"),
            soft_margin=False,
            margin=Fixed(0.3),
            temperature=Fixed(0.1),
        )
