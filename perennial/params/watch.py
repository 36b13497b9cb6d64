"""What a watch looks at, and what it takes for drift."""

from typing import Annotated

from pydantic import Field

from perennial.params.section import Count, NotNegative, Positive, Rate, Section, Seed, Share


class Watch(Section):
    weeks: Count
    spans: Annotated[list[Annotated[int, Field(ge=1, le=24)]], Field(min_length=1)]
    alpha: Rate
    slices_share: Annotated[float, Field(ge=0, lt=1)]
    slices: Annotated[int, Field(ge=0)]
    queries: Count
    pool: Count
    novel_share: Annotated[float, Field(gt=0, lt=0.5)]
    min_queries: Annotated[int, Field(ge=10)]
    min_shift: Share
    min_separation: Share
    max_gone: Share
    max_lost: Share
    max_come: Share
    documents: Count
    min_documents: Annotated[int, Field(ge=10)]
    max_waiting_share: Share
    max_waiting_hours: Positive
    page_waiting_hours: Positive
    page_import_hours: Positive
    sentinels: Annotated[int, Field(ge=0)]
    max_sentinel_loss: Share
    growth: Annotated[float, Field(ge=1)]
    again_hours: NotNegative
    sampled_per_hour: Count
    memory_mb: Annotated[int, Field(ge=64)]
    seed: Seed
