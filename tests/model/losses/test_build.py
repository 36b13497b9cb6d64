"""Every loss by its name: it teaches, repeats itself, and continues after a kill."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_encoder import HELD, static_model, things, tokenizer, train

from perennial.model.history import Step
from perennial.model.losses.build import MININGS, build_loss
from perennial.model.losses.loss import Loss
from perennial.model.losses.proxy import ProxyNCA
from perennial.model.losses.schedule import Fixed, Ramp, Schedule, Switch
from perennial.model.shelf import Shelf
from perennial.model.team import ALONE
from perennial.model.trainable import Trainable
from perennial.model.validation import validate

SMALL = {"names": 160, "dimension": 24}  # the texts of `things`, and its vectors


def build(name: str, **changes: Any) -> Loss:
    given: dict[str, Any] = {
        "distance": "cosine",
        "mining": Fixed("batch-hard"),
        "soft_margin": False,
        "margin": Fixed(0.3),
        "temperature": Fixed(0.1),
    }
    return build_loss(name, **(given | SMALL | changes))


def reciprocal_rank(model: Trainable) -> float:
    rows = np.arange(len(things().query))
    return validate(model, Shelf(model, {"all": things()}), "all", things(), rows, team=ALONE)[0]


@pytest.mark.parametrize(
    ("name", "mining", "distance"),
    [
        *[("triplet", Fixed(mining), "cosine") for mining in MININGS],
        ("triplet", Switch("semi-hard", "batch-hard", 0.3), "euclidean"),
        ("contrastive", Fixed("given"), "cosine"),
        ("infonce", Fixed("given"), "cosine"),
        ("infonce", Fixed("given"), "euclidean"),
        ("supcon", Fixed("given"), "cosine"),
        ("proxy-nca", Fixed("given"), "cosine"),
    ],
)
def test_every_loss_brings_queries_to_their_documents(
    name: str, mining: Schedule[str], distance: str
) -> None:
    model = static_model(tokenizer())
    before = reciprocal_rank(model)
    trained = train(
        model,
        loss=build(name, mining=mining, distance=distance, margin=Ramp(0.2, 0.4)),
        epochs=12,
        learning_rate=0.1,
    )
    assert before < 0.3 and reciprocal_rank(model) > 0.8
    assert trained.history[-1].loss < trained.history[0].loss


def test_a_loss_that_learns_continues_after_a_kill_to_the_same_bytes(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(step: Step, total: int, pace: object) -> None:
        if step.step == 7:
            raise Killed

    whole, again = static_model(tokenizer()), static_model(tokenizer())
    losses = [build("proxy-nca") for _ in range(3)]
    arguments: dict[str, Any] = {"epochs": 3, "held": HELD}
    train(whole, loss=losses[0], **arguments)
    checkpoint = tmp_path / "c.safetensors"
    with pytest.raises(Killed):
        train(
            static_model(tokenizer()),
            loss=losses[1],
            checkpoint=checkpoint,
            report=kill,
            **arguments,
        )
    train(again, loss=losses[2], checkpoint=checkpoint, **arguments)
    assert torch.equal(whole.module.weight, again.module.weight)
    one, _, two = losses
    assert isinstance(one, ProxyNCA) and isinstance(two, ProxyNCA)
    assert torch.equal(one.proxies, two.proxies) and torch.equal(one.is_met, two.is_met)
