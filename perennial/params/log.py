"""What comes in: the source, the snapshot, what is accepted of it, and how it is judged."""

from typing import Annotated, Literal

from pydantic import Field

from perennial.params.section import Count, NotNegative, Section, Share


class Source(Section):
    columns: dict[str, dict[str, str]]


class Split(Section):
    held_out_share: Annotated[float, Field(gt=0, lt=1)]
    salt: str


class Snapshot(Section):
    window_days: Count
    click_window_seconds: Annotated[int, Field(ge=0)]
    max_unknown_share: Share
    lineages: Count
    min_query_sessions: Count
    memory_mb: Annotated[int, Field(ge=64)]


class Validate(Section):
    max_text_characters: Count
    max_query_characters: Count
    min_requests: Count
    min_clicks: Count
    max_null_slice_share: Share
    sample_rows: Count
    on_broken_rows: Literal["strict", "quarantine"]
    max_quarantined_share: Share
    max_requests_per_minute: Count
    max_requests_per_session: Count
    max_bot_share: Share
    max_dwell_seconds: Count
    min_click_fall: NotNegative
    max_volume_change: Share
    max_query_shift: Share
    memory_mb: Annotated[int, Field(ge=64)]


class Judge(Section):
    model: Literal["auto", "position", "cascade", "plain"]
    min_links: Count
    significance: Share
    max_misfit: Share
    short_dwell_seconds: Annotated[float, Field(ge=0)]
    short_dwell_weight: Share
    calibration_labels: Count
    min_examinations: Count
    min_click_rate: Share
    max_negative_rate: Share
    confidence: Annotated[float, Field(gt=0, lt=1)]
