"""The first champion, and the simulated public of the demo."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from perennial.params.section import Count, Margin, NotNegative, Rate, Section, Seed, Share


class Bootstrap(Section):
    dimension: Count
    vocabulary: Annotated[int, Field(ge=300)]
    epochs: Count
    batch_queries: Annotated[int, Field(ge=2)]
    learning_rate: Rate
    margin: Margin
    seed: Seed


def _in_utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() != timedelta(0):
        raise ValueError("a time in UTC is needed, such as 2026-01-05T00:00:00Z")
    return text


class Simulate(Section):
    start: Annotated[str, AfterValidator(_in_utc)]
    days: Count
    sessions: Count
    results: Annotated[int, Field(ge=2)]
    position_decay: NotNegative
    click_if_relevant: Share
    click_if_not: Share
    stop_after_click: Share
    abandon: Share
    max_requests: Count
    explore: Share
    seed: Seed
