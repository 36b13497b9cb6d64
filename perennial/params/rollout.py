"""Shadow and canary: how a candidate is tried on live traffic."""

import itertools
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from perennial.params.section import Count, NotNegative, Positive, Rate, Section, Seed, Share


class Shadow(Section):
    queries: Count
    mirrored: Count
    min_mirrored: Count
    persistence: Annotated[float, Field(gt=0, lt=1)]
    min_overlap: Share
    max_latency_ratio: Positive
    max_zero_results: Share
    max_failed_share: Share
    max_click_loss: NotNegative
    pages: Count
    max_weight: Annotated[float, Field(ge=1)]
    min_effective: NotNegative
    min_seen: Share
    examples: Count
    seed: Seed


class CanaryStep(Section):
    share: Annotated[float, Field(gt=0, lt=1)]
    margin: Annotated[float, Field(gt=0, lt=1)]
    min_hours: NotNegative
    max_hours: Positive


class CanarySplit(Section):
    ratio: Rate
    slow: Rate
    failed: Rate
    empty: Rate
    loss: Rate
    advance: Rate


def _whole(split: CanarySplit) -> CanarySplit:
    total = sum(split.model_dump().values())
    if abs(total - 1) > 1e-9:
        raise ValueError(f"the parts of alpha must add up to 1, not {total:g}")
    return split


def _growing(steps: list[CanaryStep]) -> list[CanaryStep]:
    for before, after in itertools.pairwise(steps):
        if after.share <= before.share or after.margin > before.margin:
            raise ValueError("each step must have a greater share, and no greater margin")
    return steps


class Canary(Section):
    unserved: Literal["wait", "swap"]
    method: Literal["sessions", "interleaving"]
    shadow_min_hours: NotNegative
    shadow_max_hours: Positive
    steps: Annotated[list[CanaryStep], Field(min_length=1), AfterValidator(_growing)]
    max_loss: Annotated[float, Field(ge=0, lt=1)]
    design_loss: Annotated[float, Field(gt=0, lt=1)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    split: Annotated[CanarySplit, AfterValidator(_whole)]
    slow_ratio: Positive
    max_slow: Share
    max_failed: Share
    max_empty: Share
    success_dwell_seconds: NotNegative
    session_seconds: NotNegative
    settle_seconds: NotNegative
    baseline_days: Count
    min_baseline_sessions: Count
    memory_mb: Annotated[int, Field(ge=64)]
    sessions: Annotated[int, Field(ge=2)]
    seed: Seed

    @field_validator("max_loss")
    @classmethod
    def _below_every_margin(cls, loss: float, known: ValidationInfo) -> float:
        steps = known.data.get("steps")
        if steps and loss > steps[-1].margin:
            raise ValueError(
                f"above the last step's margin of {steps[-1].margin:g}, what is stopped would "
                "change from step to step, and alpha would be spent more than once; give it that "
                "margin at most"
            )
        return loss
