"""Every way of breaking a row is caught, counted and shown, and nothing else is complained of."""

from collections.abc import Callable
from itertools import count

import pandas as pd
import pyarrow as pa
import pytest

from perennial.data.schema import TABLES

SECOND = pd.Timedelta(seconds=1)
MEGABYTE = "grow " * 200_000
FINITE_LATENCY = "latency_ms must be a finite number, not negative"
CHANCE = "propensity must be above 0 and at most 1 where it is given"
WINDOW = "ts must lie in the window"
CONTIGUOUS = "the ranks of a request must run 1, 2, 3"
NAN, INFINITY = float("nan"), float("inf")


def one(column, value):
    """A breakage of one cell: `value`, or what it makes of the world and the row."""

    def breakage(world, table, row):
        put(world, table, row, column, value(world, row) if callable(value) else value)

    return breakage


def again(**changes):
    """A breakage that appends a row once more, with changes."""

    def breakage(world, table, row):
        found = world.arrow(table)
        copy = found.slice(row, 1).to_pylist()[0] | changes
        second = pa.Table.from_pylist([copy], schema=found.schema)
        world.tables[table] = pa.concat_tables([found, second])

    return breakage


def put(world, table, row, column, value):
    """Through arrow, since pandas would take a NaN for a null."""
    found = world.arrow(table)
    values = found.column(column).to_pylist()
    values[row] = value
    at = found.schema.get_field_index(column)
    field = found.schema.field(column).with_nullable(True)
    world.tables[table] = found.set_column(at, field, pa.array(values, field.type))


def a_document_not_shown(world, row):
    request = world.arrow("events").column("request_id")[row].as_py()
    page = world.frame("impressions")
    shown = page.loc[page["request_id"] == request, "doc_id"]
    return min(set(world.frame("catalogue")["doc_id"]) - set(shown))


def before_its_request(world, row):
    request = world.arrow("events").column("request_id")[row].as_py()
    return world.frame("requests").set_index("request_id")["ts"][request] - SECOND


CASES = {
    "empty doc_id": ("catalogue", one("doc_id", ""), "doc_id must have more than nothing"),
    "doc_id twice": ("catalogue", again(), "doc_id must be unique"),
    "blank text": (
        "catalogue",
        one("text", " \t\n\u3000\u200b"),
        "text must contain a letter or a digit",
    ),
    "emoji text": (
        "catalogue",
        one("text", "🌱🌻 👩‍🌾"),
        "text must contain a letter or a digit",
    ),
    "1 MB text": ("catalogue", one("text", MEGABYTE), "text must have at most 200,000 characters"),
    "empty request_id": (
        "requests",
        one("request_id", ""),
        "request_id must have more than nothing",
    ),
    "request_id twice": ("requests", again(), "request_id must be unique"),
    "blank query": ("requests", one("query", " \u00a0 "), "query must be more than white space"),
    "1 MB query": ("requests", one("query", MEGABYTE), "query must have at most 2,000 characters"),
    "unknown arm": ("requests", one("arm", "blue"), "arm must be one of stable, candidate, inter"),
    "negative results": ("requests", one("n_results", -1), "n_results must not be negative"),
    "NaN latency": ("requests", one("latency_ms", NAN), FINITE_LATENCY),
    "negative latency": ("requests", one("latency_ms", -0.5), FINITE_LATENCY),
    "early request": ("requests", one("ts", lambda world, row: world.start - SECOND), WINDOW),
    "late request": ("requests", one("ts", lambda world, row: world.end + SECOND), WINDOW),
    "impression of no request": (
        "impressions",
        again(request_id="req-unknown", rank=1),
        "request_id must be in the table requests",
    ),
    "impression of no document": (
        "impressions",
        one("doc_id", "doc-unknown"),
        "doc_id must be in the catalogue",
    ),
    "shown twice": ("impressions", again(rank=11), "request_id and doc_id together must be unique"),
    "NaN score": ("impressions", one("score", NAN), "score must be a finite number"),
    "infinite score": ("impressions", one("score", -INFINITY), "score must be a finite number"),
    "NaN propensity": ("impressions", one("propensity", NAN), CHANCE),
    "propensity 0": ("impressions", one("propensity", 0.0), CHANCE),
    "rank gap": ("impressions", one("rank", 11), CONTIGUOUS),
    "rank tie": ("impressions", one("rank", 9), CONTIGUOUS),
    "rank huge": ("impressions", one("rank", 2**31 - 1), CONTIGUOUS),
    "event_id twice": ("events", again(), "event_id must be unique"),
    "event of no request": (
        "events",
        one("request_id", "req-unknown"),
        "request_id must be in the table requests",
    ),
    "event on a document not shown": (
        "events",
        one("doc_id", a_document_not_shown),
        "doc_id must have been shown for the event's request",
    ),
    "event before its request": (
        "events",
        one("ts", before_its_request),
        "an event must not come before its request",
    ),
    "late event": ("events", one("ts", lambda world, row: world.end + SECOND), WINDOW),
    "unknown type": ("events", one("type", "hover"), "type must be one of click, dwell, convert"),
    "NaN value": ("events", one("value", NAN), "value must be a finite number"),
    "infinite value": ("events", one("value", INFINITY), "value must be a finite number"),
    "emoji judgement": ("judgements", one("query", "🌱"), "query must contain a letter or a digit"),
    "judged document unknown": (
        "judgements",
        one("doc_id", "doc-unknown"),
        "doc_id must be in the catalogue",
    ),
    "grade 4": ("judgements", one("grade", 4), "grade must be one of 0, 1, 2, 3"),
    "judged twice": (
        "judgements",
        again(grade=1),
        "query and doc_id together must be unique",
    ),
}


def rounds():
    """Cases that break different promises of one table share a world: a check takes its time."""
    apart: dict[tuple[str, int], dict[str, Callable]] = {}
    for table, breakage, promise in CASES.values():
        free = next(n for n in count() if promise not in apart.get((table, n), {}))
        apart.setdefault((table, free), {})[promise] = breakage
    return apart


@pytest.mark.parametrize(("table", "number"), rounds())
def test_each_broken_row_breaks_one_promise_which_names_it(table, number, world, outcomes_of):
    from expectations.summary import sentence

    breakages = rounds()[table, number]
    for page, breakage in enumerate(breakages.values()):
        breakage(world, table, 10 * page + 9)  # the last row of a request's impressions
    broken = [each for each in outcomes_of(world, [table]) if each.kept is False]
    named = [p for each in broken for p in breakages if each.must.startswith(p)]
    assert sorted(named) == sorted(breakages) and len(broken) == len(named)
    for outcome in broken:
        assert outcome.count == len(outcome.sample) == (2 if "unique" in outcome.must else 1)
        said = sentence(outcome)
        assert said.startswith(f"{table}: {outcome.must}") and said.endswith(f"; {outcome.do}.")
        assert "\n" not in said and len(said) < 400
        texts = [outcome.sample[0].get(name) for name in ("query", "title", "text")]
        assert not [text for text in texts if text and len(text) > 3 and text[:20] in said], said


def test_a_sentence_names_the_row_and_not_what_a_person_wrote_in_it(world, outcomes_of):
    from expectations.summary import sentence

    secret = "anna.arendt@example.com cannot sleep " * 100
    for table, row in (("requests", 9), ("judgements", 3)):
        put(world, table, row, "query", secret)
    said = [sentence(each) for each in outcomes_of(world) if each.kept is False]
    request = world.arrow("requests").column("request_id")[9].as_py()
    document = world.arrow("judgements").column("doc_id")[3].as_py()
    length = f"query of {len(secret):,} characters)"
    assert any(f"(first request_id {request!r}, {length}" in each for each in said), said
    assert any(f"(first doc_id {document!r}, {length}" in each for each in said), said
    assert "anna" not in "".join(said)


def test_a_null_is_caught_in_every_column_that_may_not_have_one(world, outcomes_of):
    required = [(t, f.name) for t, schema in TABLES.items() for f in schema if not f.nullable]
    for table, column in required:
        put(world, table, 9, column, None)
    caught = {
        (each.table, column)
        for each in outcomes_of(world)
        for column in each.about
        if each.kept is False and each.sample[0].get(column, "") is None
    }
    assert set(required) <= caught


def test_ranks_that_start_at_zero_are_caught(world, broken):
    world.frame("impressions")["rank"] -= 1
    found = broken(world, ["impressions"])
    assert [each.count for each in found.values()] == [400, 400]
    assert "impressions: rank must be 1 or more" in found


def test_text_of_any_script_is_text(world, broken):
    frame = world.frame("catalogue")
    for row, text in enumerate(["搜索引擎", "محرك بحث", "खोज", "поиск", "٣", "ß"]):
        frame.loc[row, "text"] = text
    assert not broken(world, ["catalogue"])


def test_a_missing_slice_is_tolerated_up_to_its_share(world, broken):
    world.frame("catalogue").loc[:59, "slice"] = None
    assert not broken(world, ["catalogue"], max_null_slice_share=0.5)
    found = broken(world, ["catalogue"], max_null_slice_share=0.4)
    assert [each.count for each in found.values()] == [60]


def test_only_requests_whose_clicks_can_no_longer_come_late_count(world, broken):
    world.frame("events").loc[3, "ts"] = world.end
    world.frame("requests").loc[399, "ts"] = world.end - 1800 * SECOND
    assert not broken(world, ["events", "requests"])
    world.frame("requests").loc[399, "ts"] = world.end - 1799 * SECOND
    assert [each.count for each in broken(world, ["requests"]).values()] == [1]


def test_samples_tell_null_from_nan_and_hold_no_more_rows_than_asked(world, outcomes_of):
    for row in range(20):
        put(world, "impressions", row, "score", NAN if row else None)
    outcomes = outcomes_of(world, ["impressions"])
    (outcome,) = [each for each in outcomes if each.kept is False]
    assert outcome.must == "score must be a finite number"
    assert outcome.count == 20 and outcome.share == 20 / 4000
    assert [str(row["score"]) for row in outcome.sample] == ["None", "nan", "nan", "nan", "nan"]
