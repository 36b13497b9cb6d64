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

    def rendered(world, findings):
        digest = "sha256:" + "ab" * 32
        return render(findings, start=world.start, end=world.end, digest=digest)

    return rendered


def test_a_healthy_page_names_every_promise_and_no_breakage(world, findings_of, page):
    findings = findings_of(world)
    html = page(world, findings)
    kept = sum(each.kept is True for each in findings.outcomes)
    assert f"All {kept} promises are kept" in html
    assert html.count('<li class="kept">') == kept
    assert "What is broken" not in html
    assert html == page(world, findings)


def test_a_broken_page_shows_the_rows_and_what_to_do(world, findings_of, page):
    world.frame("requests").loc[3, "arm"] = "blue"
    findings = findings_of(world)
    html = page(world, findings)
    assert f"1 of {len(findings.outcomes)} promises is broken" in html
    assert "the champion keeps serving" in html
    assert "arm must be one of stable, candidate, interleaved" in html
    assert "map the arms of your log to these" in html
    assert re.search(r'<td class="short meant">blue</td>', html)
    assert "1 of 400 breaks it (0.2%)" in html


def test_nothing_from_a_table_becomes_markup(world, findings_of, page):
    world.frame("requests").loc[3, "query"] = EVIL * 50
    world.frame("requests").loc[4, "arm"] = EVIL
    catalogue = world.arrow("catalogue")
    world.tables["catalogue"] = catalogue.append_column(EVIL, catalogue["slice"])
    html = page(world, findings_of(world))
    assert "<script" not in html and "<img" not in html
    assert html.count("&lt;script&gt;") >= 3


def test_the_page_needs_no_other_host_and_runs_nothing(world, findings_of, page):
    world.frame("events").loc[3, "type"] = "hover"
    html = page(world, findings_of(world))
    for outside in ("http://", "https://", "//cdn", "url(", "@import", " src=", "<link", "<script"):
        assert outside not in html
    assert "default-src 'none'" in html and 'name="viewport"' in html


def test_what_cannot_be_seen_is_spelt_out_and_what_is_long_is_cut(world, findings_of, page):
    world.frame("catalogue").loc[3, "text"] = " \t\u200b"
    world.frame("catalogue").loc[4, "text"] = "grow " * 200_000
    html = page(world, findings_of(world))
    assert "&#39; \\t\\u200b&#39;" in html
    assert "… (1,000,000 characters)" in html
    assert len(html) < 40_000


def test_what_could_not_be_looked_at_says_why(world, findings_of, page):
    world.tables["catalogue"] = TABLES["catalogue"].empty_table()
    html = page(world, findings_of(world))
    assert "not looked at: catalogue is empty" in html


def test_the_summary_is_plain_json_with_a_sentence_for_each_breakage(world, findings_of):
    from expectations.summary import summary

    world.frame("impressions").loc[9, "rank"] = 11
    world.frame("requests").loc[0, "ts"] = datetime(1999, 1, 1, tzinfo=UTC)
    found = json.loads(json.dumps(summary(findings_of(world)), allow_nan=False))
    assert found["format_version"] == 1 and found["success"] is False
    assert found["tables"]["requests"] == {
        "rows": 400,
        "promises": found["tables"]["requests"]["promises"],
        "broken": 1,
        "warnings": 0,
        "unchecked": 4,  # nothing was accepted before that it could be compared to
    }
    late, gap = found["broken"]
    assert (late["table"], late["count"], late["share"]) == ("requests", 1, 1 / 400)
    assert late["sample"][0]["ts"] == "1999-01-01T00:00:00+00:00"
    assert gap["sample"][0]["rank"] == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 11]"
    assert gap["sentence"].startswith("impressions: the ranks of a request must run 1, 2, 3")


def test_a_promise_that_cannot_be_computed_is_never_taken_for_kept():
    import pyarrow as pa

    from expectations.check import Suite, check
    from expectations.promise import given
    from perennial.errors import TableInvalid

    wrong = given("nonsense", "nothing").expectation(1, critical=True)
    suite = Suite("events", pa.table({"a": [1]}), [wrong])
    with pytest.raises(TableInvalid, match="could not check that nonsense must be given"):
        check([suite], unusable={}, sample_rows=5)


def test_the_page_tells_warnings_apart_and_what_was_left_out(world, findings_of, page):
    from datetime import timedelta

    requests = world.frame("requests")
    for place in range(100):
        requests.loc[place, "session_id"] = "ses-bot"
        requests.loc[place, "ts"] = requests.loc[0, "ts"] + timedelta(seconds=place)
    world.frame("events")["ts"] = world.frame("events")["request_id"].map(
        requests.set_index("request_id")["ts"]
    )
    world.frame("impressions").loc[3999, "score"] = float("inf")
    html = page(world, findings_of(world, quarantine=True))
    assert html.count('<li class="warned">') == 2 and '<li class="broken">' not in html
    assert "What a person should look at" in html and "What is broken" not in html
    assert "What was left out" in html and "1 session is a bot" in html
    assert re.search(r"<td>bot</td><td[^>]*>1,000</td><td[^>]*>25.0%</td>", html)
    assert "<td>score no number</td>" in html
