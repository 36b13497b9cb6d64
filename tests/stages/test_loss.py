"""From params.train to a loss: numbers, changing numbers, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from small import write_params
from tiny_encoder import static_model, things, tokenizer

from perennial.errors import ParamsInvalid
from perennial.model.losses.contrastive import ContrastiveLoss
from perennial.model.losses.infonce import InfoNCE
from perennial.model.losses.loss import Loss
from perennial.model.losses.mining import BatchHard, Given, SemiHard
from perennial.model.losses.proxy import ProxyNCA
from perennial.model.losses.schedule import Fixed, Ramp, Switch
from perennial.model.losses.triplet import TripletLoss
from perennial.stages.loss import loss_of


def loss(tmp_path: Path, **changes: Any) -> Loss:
    section = write_params(tmp_path / "params.yaml", {"train": changes}).train
    return loss_of(section, model=static_model(tokenizer()), sets=[things(), None])


def test_without_a_change_it_is_the_hardest_triplet_of_the_batch(tmp_path: Path) -> None:
    found = loss(tmp_path)
    assert isinstance(found, TripletLoss) and not found.is_soft
    assert found.margin == Fixed(0.3) and type(found.mining.at(0.0)) is BatchHard


def test_margin_mining_and_temperature_may_change_during_a_run(tmp_path: Path) -> None:
    found = loss(
        tmp_path,
        margin={"start": 0.1, "end": 1},
        mining={"start": "semi-hard", "end": "batch-hard", "share": 0.25},
        soft_margin=True,
    )
    assert isinstance(found, TripletLoss) and found.is_soft
    assert found.margin == Ramp(0.1, 1.0) and isinstance(found.mining, Switch)
    assert type(found.mining.at(0.2)) is SemiHard and type(found.mining.at(0.25)) is BatchHard
    found = loss(tmp_path, loss="infonce", temperature={"start": 0.2, "end": 0.02})
    assert isinstance(found, InfoNCE) and found.temperature == Ramp(0.2, 0.02)
    assert isinstance(loss(tmp_path, loss="contrastive"), ContrastiveLoss)
    found = loss(tmp_path, mining="given")
    assert isinstance(found, TripletLoss) and isinstance(found.mining.at(1.0), Given)


def test_proxies_are_as_many_as_texts_and_as_wide_as_vectors(tmp_path: Path) -> None:
    found = loss(tmp_path, loss="proxy-nca")
    assert isinstance(found, ProxyNCA) and found.proxies.shape == (160, 24)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin": {"start": 0.1, "end": 3.0}}, r"train\.margin\.end is 3\.0: .*equal to 2"),
        ({"margin": {"start": 0.1, "stop": 0.3}}, r"train\.margin\.end is missing; add it"),
        ({"margin": "0.3"}, r"train\.margin is '0\.3'"),
        ({"mining": "hardest"}, r"train\.mining is 'hardest': input should be 'given', 'semi-"),
        ({"temperature": 0.0}, r"train\.temperature is 0\.0"),
        ({"loss": "tripplet"}, r"train\.loss is 'tripplet': input should be 'triplet'"),
    ],
)
def test_what_is_no_loss_is_refused_by_its_dotted_name(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamsInvalid, match=message):
        loss(tmp_path, **changes)
