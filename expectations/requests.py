"""What the requests promise: a log that is long enough, of searches that really took place."""

from datetime import datetime

from expectations.promise import Least, Rule, characters, given, holds, one_of, unique, within
from perennial.data.schema import ARMS


def suite(
    *, start: datetime, settled: datetime, max_query_characters: int, min_requests: int
) -> list[Rule | Least]:
    """The promises of the table requests, whose times lie in [start, settled]."""
    return [
        Least(
            min_requests,
            "requests",
            "collect a longer log, widen snapshot.window_days or lower validate.min_requests, "
            "or, where the window lies in the future, look for a clock that runs ahead",
        ),
        given("request_id", "give every request an id of its own"),
        characters("request_id", "give every request an id of its own", least=1),
        unique(["request_id"], "keep one row per request"),
        given("session_id", "log the session, or use the request's id for it"),
        given("ts", "log when the request came, in UTC"),
        within(
            "ts",
            f"ts must lie in the window, {start:%Y-%m-%d %H:%M:%S} to {settled:%Y-%m-%d %H:%M:%S} "
            "UTC, after which clicks could still come late",
            "take a new snapshot, and look at the clock and the time zone of the log",
            low=start,
            high=settled,
        ),
        given("query", "log what was typed, or leave the request out"),
        holds(
            "query_blank",
            "query_is_not_blank",
            "query must be more than white space",
            "leave out requests without a query, such as pages that were only browsed",
            about=["query"],
        ),
        characters(
            "query",
            "leave out texts pasted by mistake, or raise validate.max_query_characters",
            most=max_query_characters,
        ),
        given("channel", "log which channel answered, such as production"),
        given("arm", "log which arm answered, stable where there was only one"),
        one_of("arm", ARMS, "map the arms of your log to these"),
        given("release_id", "log which release answered"),
        given("n_results", "log how many documents were shown"),
        within("n_results", "n_results must not be negative", "log a count, 0 for none", low=0),
        holds(
            "latency_no_duration",
            "latency_is_a_duration",
            "latency_ms must be a finite number, not negative",
            "log milliseconds, 0 if they were not measured",
            about=["latency_ms"],
        ),
        given("explored", "log whether the order was changed to explore, false if never"),
    ]
