"""What a log is like as a whole: a holiday breaks its habits as well as a fault, so they warn."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import duckdb
import great_expectations.expectations as gxe
import pyarrow as pa

from expectations.check import Suite
from expectations.clickthrough import Fall, click_fall
from expectations.promise import promise
from expectations.reference import NONE_YET, Reference
from expectations.volume import compare_days
from expectations.wording import compare_languages, compare_lengths, compare_shares

NOTHING = pa.table({})
LOOKED_AT = [
    "requests.request_id",
    "requests.session_id",
    "impressions.request_id",
    "impressions.doc_id",
    "impressions.rank",
    "events.request_id",
    "events.doc_id",
    "events.type",
]


def habit_suites(
    connection: duckdb.DuckDBPyConnection,
    profile: Mapping[str, Any],
    reference: Reference | None,
    *,
    start: datetime,
    end: datetime,
    min_click_fall: float,
    max_volume_change: float,
    max_query_shift: float,
) -> list[Suite]:
    """Click-through by rank, and the accepted log against the last accepted snapshot's."""
    suites = [click_suite(click_fall(connection), least=min_click_fall)]
    days = lengths = shares = NOTHING
    spoken: pa.Table | str = NONE_YET
    if reference is not None:
        days = compare_days(
            profile["days"],
            reference.days,
            start=start,
            end=end,
            max_change=max_volume_change,
        )
        lengths = compare_lengths(profile, reference, max_shift=max_query_shift)
        shares = compare_shares(profile, reference, max_shift=max_query_shift)
        spoken = compare_languages(profile, reference, max_shift=max_query_shift)
    suites += [
        _usual(
            days,
            f"a day must have as many requests as when a snapshot was last accepted, give or take "
            f"{max_volume_change:.0%}",
            "look for a part of the log that is missing or there twice",
            about=["day", "requests", "expected"],
            needs=["requests.ts"],
            because=NONE_YET if reference is None else "it has no whole day of a known weekday",
        ),
        _usual(
            lengths,
            f"queries must be as long as when a snapshot was last accepted, give or take "
            f"{max_query_shift:.0%}",
            "look for another source of queries, or for texts that are cut",
            about=["figure", "now", "accepted"],
            needs=["requests.query"],
            because=NONE_YET if reference is None else "its profile has no lengths",
        ),
        _usual(
            shares,
            f"at most {max_query_shift:.0%} of words and scripts may have moved since a snapshot "
            "was last accepted",
            "look for people of another language, and for texts in a wrong encoding",
            about=["share", "moved", "most"],
            needs=["requests.query"],
            because=NONE_YET,
        ),
        _usual(
            NOTHING if isinstance(spoken, str) else spoken,
            f"at most {max_query_shift:.0%} of queries may have moved to other languages since a "
            "snapshot was last accepted",
            "look for people of another language, and for another source of queries",
            about=["share", "moved", "most"],
            needs=["requests.query"],
            because=str(spoken),
        ),
    ]
    return suites


def click_suite(fall: Fall | str, *, least: float) -> Suite:
    """The promise that people look from the top; clickthrough.py states the statistic."""
    found = isinstance(fall, Fall)
    frame = pa.Table.from_pylist([vars(fall)]) if found else NOTHING
    expectation = promise(
        gxe.ExpectColumnValuesToBeBetween,
        f"click-through must fall from the first rank to the last by {least:.0%} of its mean",
        "find out whether ranks are logged as people saw them, and positions count from the top",
        about=["fall", "low", "high", "clicks"],
        needs=LOOKED_AT,
        critical=False,
        column="high",
        min_value=least,
    )
    return Suite("impressions", frame, [expectation], because="" if found else str(fall))


def _usual(
    frame: pa.Table, must: str, do: str, *, about: list[str], needs: list[str], because: str
) -> Suite:
    """A warning for every row that is not usual; `because` counts where there is no row."""
    expectation = promise(
        gxe.ExpectColumnValuesToBeInSet,
        must,
        do,
        about=about,
        needs=needs,
        critical=False,
        column="is_usual",
        value_set=[True],
    )
    return Suite("requests", frame, [expectation], because="" if frame.num_rows else because)
