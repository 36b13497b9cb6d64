"""How the encoder learns."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from perennial.params.section import (
    Count,
    Margin,
    NotNegative,
    Rate,
    Section,
    Seed,
    Share,
    Temperature,
    Width,
)


def _kind(value: object) -> str:
    return "<schedule>" if isinstance(value, Mapping | Section) else "<value>"


KINDS = ("<value>", "<schedule>")  # of what may change during a run; no part of a dotted name
MiningName = Literal["given", "semi-hard", "batch-hard", "batch-all"]


class MiningSwitch(Section):
    start: MiningName
    end: MiningName
    share: Share


class MarginRamp(Section):
    start: Margin
    end: Margin


class TemperatureRamp(Section):
    start: Temperature
    end: Temperature


class Lesson(Section):
    from_epoch: Annotated[int, Field(ge=0)]
    log: NotNegative
    ann: NotNegative
    random: NotNegative
    easiest: Annotated[float, Field(ge=0, lt=1)]
    hardest: Rate


class Train(Section):
    base: Annotated[str, Field(min_length=1)]
    loss: Literal["triplet", "contrastive", "infonce", "supcon", "proxy-nca"]
    mining: Annotated[
        Annotated[MiningName, Tag("<value>")] | Annotated[MiningSwitch, Tag("<schedule>")],
        Discriminator(_kind),
    ]
    distance: Literal["cosine", "euclidean"]
    margin: Annotated[
        Annotated[Margin, Tag("<value>")] | Annotated[MarginRamp, Tag("<schedule>")],
        Discriminator(_kind),
    ]
    soft_margin: bool
    temperature: Annotated[
        Annotated[Temperature, Tag("<value>")] | Annotated[TemperatureRamp, Tag("<schedule>")],
        Discriminator(_kind),
    ]
    epochs: Count
    batch_queries: Annotated[int, Field(ge=2)]
    hard_negatives: Annotated[int, Field(ge=0)]
    curriculum: list[Lesson]
    remine_every: Annotated[int, Field(ge=0)]
    learning_rate: Rate
    warmup_share: Share
    weight_decay: NotNegative
    clip_norm: NotNegative
    max_tokens: Count
    precision: Literal["float32", "bf16"]
    tokens_per_forward: Count
    gradient_caching: bool
    dropout: Annotated[float, Field(ge=0, lt=1)] | None
    freeze_layers: Annotated[int, Field(ge=0)]
    dimensions: list[Width]
    dimension: Width | None
    min_rank_share: Share
    max_norm_growth: Annotated[float, Field(gt=1)]
    validation_share: Annotated[float, Field(ge=0, lt=1)]
    patience: Count
    checkpoint_steps: Count
    replay_share: Annotated[float, Field(ge=0, lt=1)]
    seed: Seed
