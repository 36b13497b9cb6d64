"""What is measured of a candidate, what the gate asks of it, and what its report shows."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from perennial.params.section import Count, Metric, NotNegative, Positive, Section, Seed, Share


class Evaluate(Section):
    bootstrap_samples: Annotated[int, Field(ge=100)]
    randomisations: Annotated[int, Field(ge=99, lt=1_000_000)]
    neighbours: Count
    neighbour_documents: Count
    confidence: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class Rule(Section):
    min_gain: float | None = None
    max_loss: NotNegative | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Rule":
        if (self.min_gain is None) == (self.max_loss is None):
            raise ValueError("a rule is either min_gain or max_loss; give one of them")
        return self


class Gate(Section):
    metric: Metric
    min_gain: float
    max_loss: NotNegative
    rules: dict[Metric, Rule]
    floors: dict[Metric, Share]
    max_slice_loss: NotNegative
    min_slice_queries: Count
    max_lexical_loss: NotNegative
    min_queries: Count
    min_judged: Share
    judged_gap: Share
    min_ann_recall: Share
    min_coverage: Share
    min_self_retrieval: Share
    max_imbalance: Positive
    min_effective_rank: Positive
    max_mean_similarity: Share
    max_latency_ratio: Positive
    smoke_queries: Annotated[int, Field(ge=20)]
    review: Literal["auto", "required"]


class Report(Section):
    examples: Count
    ordinary: Count
    unjudged: Count
    seed: Seed
