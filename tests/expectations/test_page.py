"""The page says what is broken, shows it safely, and needs nothing from outside itself."""

import json
import re
from datetime import UTC, datetime

import pytest

from perennial.data.schema import TABLES

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def page():
    from expectations.page import render

    def rendered(world, outcomes):
        rows = {table: len(world.tables[table]) for table in TABLES}
        digest = "sha256:" + "ab" * 32
        return render(outcomes, rows=rows, start=world.start, end=world.end, digest=digest)

    return rendered


def test_a_healthy_page_names_every_promise_and_no_breakage(world, outcomes_of, page):
    outcomes = outcomes_of(world)
    html = page(world, outcomes)
    assert f"All {len(outcomes)} promises are kept" in html
    assert html.count('<li class="kept">') == len(outcomes)
    assert "What is broken" not in html
    assert html == page(world, outcomes)


def test_a_broken_page_shows_the_rows_and_what_to_do(world, outcomes_of, page):
    world.frame("requests").loc[3, "arm"] = "blue"
    outcomes = outcomes_of(world, ["requests"])
    html = page(world, outcomes)
    assert f"1 of {len(outcomes)} promises is broken" in html
    assert "the champion keeps serving" in html
    assert "arm must be one of stable, candidate, interleaved" in html
    assert "map the arms of your log to these" in html
    assert re.search(r'<td class="short meant">blue</td>', html)
    assert "1 of 400 breaks it (0.2%)" in html


def test_nothing_from_a_table_becomes_markup(world, outcomes_of, page):
    world.frame("requests").loc[3, "query"] = EVIL * 50
    world.frame("requests").loc[4, "arm"] = EVIL
    catalogue = world.arrow("catalogue")
    world.tables["catalogue"] = catalogue.append_column(EVIL, catalogue["slice"])
    html = page(world, outcomes_of(world, ["requests", "catalogue"]))
    assert "<script" not in html and "<img" not in html
    assert html.count("&lt;script&gt;") >= 3


def test_the_page_needs_no_other_host_and_runs_nothing(world, outcomes_of, page):
    world.frame("events").loc[3, "type"] = "hover"
    html = page(world, outcomes_of(world, ["events"]))
    for outside in ("http://", "https://", "//cdn", "url(", "@import", " src=", "<link", "<script"):
        assert outside not in html
    assert "default-src 'none'" in html and 'name="viewport"' in html


def test_what_cannot_be_seen_is_spelt_out_and_what_is_long_is_cut(world, outcomes_of, page):
    world.frame("catalogue").loc[3, "text"] = " \t\u200b"
    world.frame("catalogue").loc[4, "text"] = "grow " * 200_000
    html = page(world, outcomes_of(world, ["catalogue"]))
    assert "&#39; \\t\\u200b&#39;" in html
    assert "… (1,000,000 characters)" in html
    assert len(html) < 40_000


def test_what_could_not_be_looked_at_says_why(world, outcomes_of, page):
    world.tables["catalogue"] = TABLES["catalogue"].empty_table()
    html = page(world, outcomes_of(world))
    assert "not looked at: catalogue is empty" in html


def test_the_summary_is_plain_json_with_a_sentence_for_each_breakage(world, outcomes_of):
    from expectations.summary import summary

    world.frame("impressions").loc[9, "rank"] = 11
    world.frame("requests").loc[0, "ts"] = datetime(1999, 1, 1, tzinfo=UTC)
    rows = {table: len(world.tables[table]) for table in TABLES}
    found = json.loads(json.dumps(summary(outcomes_of(world), rows=rows), allow_nan=False))
    assert found["format_version"] == 1 and found["success"] is False
    assert found["tables"]["requests"] == {
        "rows": 400,
        "promises": found["tables"]["requests"]["promises"],
        "broken": 1,
        "unchecked": 0,
    }
    late, gap = found["broken"]
    assert (late["table"], late["count"], late["share"]) == ("requests", 1, 1 / 400)
    assert late["sample"][0]["ts"] == "1999-01-01T00:00:00+00:00"
    assert gap["sample"][0]["rank"] == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 11]"
    assert gap["sentence"].startswith("impressions: the ranks of a request must run 1, 2, 3")


def test_a_promise_that_cannot_be_computed_is_never_taken_for_kept(world):
    import pyarrow as pa

    from expectations.check import Suite, check
    from expectations.promise import given
    from perennial.errors import TableInvalid

    suite = Suite("events", "events", [given("nonsense", "nothing")])
    with pytest.raises(TableInvalid, match="could not check that nonsense must be given"):
        check([suite], {"events": pa.table({"a": [1]})}, unusable={}, sample_rows=5)
