"""The search service, and the sweep of what it no longer needs."""

from typing import Annotated

from pydantic import Field

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
