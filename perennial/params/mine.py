"""What is mined from it, and the audit of that."""

from typing import Annotated, Literal

from pydantic import Field

from perennial.params.section import Count, Rate, Section, Seed, Share


class Mine(Section):
    max_positives: Count
    teacher: Annotated[str, Field(min_length=1)]
    search: Literal["exact", "index"]
    precision: Literal["auto", "float32", "bf16"]
    skip_neighbours: Annotated[int, Field(ge=0)]
    neighbours: Count
    negatives: Count
    log_negatives: Annotated[int, Field(ge=0)]
    random_negatives: Annotated[int, Field(ge=0)]
    max_positive_share: Share
    absolute_margin: Annotated[float, Field(ge=0, le=2)]
    similar_query: Annotated[float, Field(gt=0, le=2)]
    min_resemblance: Rate
    max_short_share: Share
    max_relevant_share: Share
    examples: Annotated[int, Field(ge=0)]
    seed: Seed


class Audit(Section):
    min_negatives: Count
    min_share: Share
    max_hub_share: Rate
    sample_rows: Count
    memory_mb: Annotated[int, Field(ge=64)]
