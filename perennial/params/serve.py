"""The search service, the sweep of what it no longer needs, and what may start a flow."""

from typing import Annotated

from pydantic import Field, model_validator

from perennial.params.section import Count, NotNegative, Section, Share


class Serve(Section):
    explore: Share
    max_queries: Count
    max_k: Count
    max_query_characters: Count
    max_body_bytes: Count
    rate_per_second: Annotated[float, Field(gt=0)]
    rate_burst: Count
    batch_queries: Count
    batch_wait_ms: NotNegative
    max_waiting: Count
    search_threads: Count
    fuse: bool
    log_queue: Count
    log_flush_seconds: Annotated[float, Field(gt=0)]
    log_rotate_seconds: Annotated[float, Field(gt=0)]
    log_rotate_rows: Count
    max_connections: Count
    unready_seconds: NotNegative
    drain_seconds: Annotated[float, Field(gt=0)]


class Sweep(Section):
    releases: Count
    lineages: Count
    grace_hours: Annotated[float, Field(gt=0)]
    pending_hours: Annotated[float, Field(gt=0)]


class Started(Section):
    """What a webhook needs to start one deployment."""

    min_evidence: Annotated[int, Field(ge=0)]
    cooldown_hours: NotNegative


class Trigger(Section):
    fresh_seconds: Annotated[float, Field(gt=0, le=3600)]
    remember_hours: Annotated[float, Field(gt=0)]
    max_body_bytes: Count
    min_observations: Annotated[int, Field(ge=0)]
    retrain: Started
    reindex: Started
    rollout: Started

    @model_validator(mode="after")
    def _remembers_long_enough(self) -> "Trigger":
        longest = max(each.cooldown_hours for each in (self.retrain, self.reindex, self.rollout))
        if self.remember_hours < max(longest, 2 * self.fresh_seconds / 3600):
            raise ValueError(
                f"remember_hours is {self.remember_hours:g}, shorter than a cool-down or twice "
                "fresh_seconds; raise it"
            )
        return self
