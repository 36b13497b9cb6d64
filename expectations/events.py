"""What the events promise: clicks enough to learn from, each on a document that was shown."""

from datetime import datetime

from expectations.promise import Least, Rule, given, holds, one_of, unique, within
from perennial.data.schema import EVENT_TYPES


def suite(*, start: datetime, end: datetime, max_dwell_seconds: int) -> list[Rule]:
    """The promises of the table events, whose times lie in [start, end]."""
    return [
        given("event_id", "give every event an id of its own"),
        unique(["event_id"], "keep one row per event"),
        given("request_id", "log the request that the event belongs to"),
        given("doc_id", "log the document that the event belongs to"),
        holds(
            "request_unknown",
            "request_is_known",
            "request_id must be in the table requests",
            "export both tables over the same span of time",
            about=["request_id"],
            needs=["requests.request_id"],
        ),
        holds(
            "document_not_shown",
            "document_was_shown",
            "doc_id must have been shown for the event's request",
            "log every impression, and drop events on anything else",
            about=["request_id", "doc_id"],
            needs=["impressions.request_id", "impressions.doc_id", "requests"],
        ),
        given("type", "say what the person did"),
        one_of("type", EVENT_TYPES, "map the events of your log to these, or drop them"),
        holds(
            "value_no_number",
            "value_is_finite",
            "value must be a finite number where it is given",
            "log seconds for dwell, an amount for convert, nothing for click",
            about=["value"],
        ),
        Rule(
            "dwell_out_of_range",
            f"the value of a dwell must lie between 0 and {max_dwell_seconds:,} seconds",
            "log seconds, not milliseconds, cap them where a page was left open, or raise "
            "validate.max_dwell_seconds",
            ("type", "value"),
            f"type = 'dwell' AND isfinite(value) AND NOT value BETWEEN 0 AND {max_dwell_seconds}",
        ),
        given("ts", "log when the event took place, in UTC"),
        within(
            "ts",
            f"ts must lie in the window, {start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC",
            "take a new snapshot, and look at the clock and the time zone of the log",
            low=start,
            high=end,
        ),
        within(
            "seconds_after_request",
            "an event must not come before its request",
            "look at the clocks of the machines that write the log",
            low=0,
            needs=["requests.request_id", "requests.ts", "events.ts"],
            name="before_its_request",
        ),
    ]


def click_suite(*, min_clicks: int) -> list[Least]:
    """The promise of the clicks among the events."""
    return [
        Least(
            min_clicks,
            "clicks",
            "collect a longer log, widen snapshot.window_days or lower validate.min_clicks",
            needs=["events.type", "requests"],
        )
    ]
