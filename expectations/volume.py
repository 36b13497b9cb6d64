"""Requests per day against the last accepted snapshot: half an export looks like a quiet day."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from expectations.reference import Day

DEVIATIONS = 4.0  # of two Poisson counts; on real logs days differ more, and max_change allows that
SCHEMA = pa.schema(
    [
        pa.field("day", pa.string()),
        pa.field("requests", pa.int64()),
        pa.field("expected", pa.float64()),
        pa.field("is_usual", pa.bool_()),
    ]
)


def compare_days(
    days: Sequence[dict[str, Any]],
    accepted: Sequence[Day],
    *,
    start: datetime,
    end: datetime,
    max_change: float,
) -> pa.Table:
    """One row per whole day of the window that has something to be compared to.

    That is the same day, where the accepted snapshot had it whole, else the median of its days of
    the same weekday; a window that is longer than the log reaches back to days that nobody logged,
    so days before the accepted log's first whole one are compared to nothing.
    A day is usual if it has between 1 - max_change and 1 / (1 - max_change) times as many requests,
    or differs by no more than counts do by chance.
    """
    whole = {date.fromisoformat(each.day): each.requests for each in accepted[1:-1]}
    by_weekday = defaultdict(list)
    for day, requests in whole.items():
        by_weekday[day.weekday()].append(requests)
    counted = {date.fromisoformat(each["day"]): each["requests"] for each in days}
    rows = []
    for day in _whole_days(start, end):
        likes = by_weekday[day.weekday()]
        if not likes or day < min(whole):
            continue
        expected = float(whole[day] if day in whole else statistics.median(likes))
        rows.append(_row(day, counted.get(day, 0), expected, max_change))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(day: date, requests: int, expected: float, max_change: float) -> dict[str, Any]:
    least = (1 - max_change) * expected
    most = expected / (1 - max_change) if max_change < 1 else math.inf
    by_chance = abs(requests - expected) <= DEVIATIONS * math.sqrt(requests + expected)
    usual = by_chance or least <= requests <= most
    return {"day": day.isoformat(), "requests": requests, "expected": expected, "is_usual": usual}


def _whole_days(start: datetime, end: datetime) -> list[date]:
    """The days of which the window has every second."""
    first = start.date() + timedelta(days=start.time() != datetime.min.time())
    return [first + timedelta(days=n) for n in range(max((end.date() - first).days, 0))]
