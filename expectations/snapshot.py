"""All promises of a snapshot in reading order: a table's columns, its rows, then across tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from expectations import catalogue, columns, events, impressions, judgements, requests
from expectations.check import Suite
from expectations.joins import joined
from expectations.tables import Snapshot


@dataclass(frozen=True)
class Promises:
    """Suites, the frames they speak of, and why a table or a "table.column" cannot be checked."""

    suites: list[Suite]
    frames: dict[str, pa.Table]
    unusable: dict[str, str]


def promises_of(
    snapshot: Snapshot,
    *,
    max_text_characters: int,
    max_query_characters: int,
    max_null_slice_share: float,
    min_requests: int,
    min_clicks: int,
    click_window_seconds: int,
    is_held_out: Callable[[Sequence[str]], np.ndarray],
) -> Promises:
    """Everything that check needs; nothing is checked yet, and nothing raises for broken tables."""
    start, end = snapshot.start, snapshot.end
    settled = end - timedelta(seconds=click_window_seconds)
    rows = {
        "catalogue": catalogue.suite(
            max_text_characters=max_text_characters, max_null_slice_share=max_null_slice_share
        ),
        "requests": requests.suite(
            start=start,
            settled=settled,
            max_query_characters=max_query_characters,
            min_requests=min_requests,
        ),
        "impressions": impressions.suite(),
        "events": events.suite(start=start, end=end),
        "judgements": judgements.suite(max_query_characters=max_query_characters),
    }
    across = {
        "impressions": Suite("impressions", "pages", impressions.page_suite()),
        "events": Suite("events", "clicks", events.click_suite(min_clicks=min_clicks)),
        "judgements": Suite("judgements", "queries", judgements.split_suite()),
    }
    promises = Promises([], {}, {})
    fitted = {}
    for table, found in snapshot.tables.items():
        promises.frames[f"{table} columns"] = columns.found_columns(table, found)
        fitted[table], unfit = columns.fitted(table, found)
        if not found.num_rows:
            promises.unusable[table] = f"{table} is empty"
        for column in unfit:
            name = f"{table}.{column}"
            promises.unusable[name] = f"{name} is missing or has another type"
        promises.suites.append(Suite(table, f"{table} columns", columns.suite()))
        promises.suites.append(Suite(table, table, rows[table]))
        if table in across:
            promises.suites.append(across[table])
    promises.frames.update(joined(fitted, is_held_out=is_held_out))
    return promises
