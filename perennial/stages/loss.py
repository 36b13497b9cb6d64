"""The loss that params.train asks for."""

from collections.abc import Sequence

import numpy as np
import torch

from perennial.model.examples import Examples
from perennial.model.losses.build import build_loss
from perennial.model.losses.loss import Loss
from perennial.model.losses.schedule import Fixed, Ramp, Schedule, Switch
from perennial.model.trainable import Trainable
from perennial.params.train import MarginRamp, MiningSwitch, TemperatureRamp, Train


def loss_of(section: Train, *, model: Trainable, sets: Sequence[Examples | None]) -> Loss:
    """params.train to a loss for all that `model` will learn from."""
    loss = build_loss(
        section.loss,
        distance=section.distance,
        mining=_mining(section.mining),
        soft_margin=section.soft_margin,
        margin=_number(section.margin),
        temperature=_number(section.temperature),
        names=sum(len(each.queries) + len(each.documents) for each in sets if each),
        dimension=_vector(model).shape[1] if section.loss == "proxy-nca" else 0,
    )
    return loss.to(_vector(model).device) if isinstance(loss, torch.nn.Module) else loss


@torch.no_grad()
def _vector(model: Trainable) -> torch.Tensor:
    return model.embed(model.prepare(["text"]), np.arange(1))


def _number(value: float | MarginRamp | TemperatureRamp) -> Schedule[float]:
    return Fixed(value) if isinstance(value, float) else Ramp(value.start, value.end)


def _mining(value: str | MiningSwitch) -> Schedule[str]:
    if isinstance(value, MiningSwitch):
        return Switch[str](value.start, value.end, value.share)
    return Fixed(value)
