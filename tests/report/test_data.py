"""The log and the triplets on the page: all that is known, and nothing where nothing is."""

import xml.etree.ElementTree as ElementTree

import pytest

from perennial.report.data_plots import NAMES, data_plots
from perennial.report.page import left_out, render

QUANTILES = dict(zip(("p05", "p25", "p50", "p75", "p95"), (0.1, 0.2, 0.3, 0.4, 0.5), strict=True))
DATA = {
    "profile": {
        "days": [
            {
                "day": f"2026-01-{day:02}",
                "requests": 900 + 9 * day,
                "impressions": 9000,
                "clicks": 400,
            }
            for day in range(1, 15)
        ],
        "ranks": [
            {"rank": rank, "impressions": 1000, "clicks": 400 // rank} for rank in range(1, 11)
        ],
        "query_words": {"1": 40, "2": 90, "3": 60, "10+": 4},
        "top_queries": [{"query": "<b>sort</b> an array", "requests": 41}],
    },
    "judge": {"identifiable": False},
    "propensities": [
        {
            "rank": rank,
            "propensity": rank**-0.5,
            "low": rank**-0.5 - 0.02,
            "high": rank**-0.5 + 0.02,
        }
        for rank in range(1, 10)
    ]
    + [{"rank": 10, "propensity": None, "low": None, "high": None}],
    "snapshot": {
        "dropped": {"requests": 0, "judgements": 4},
        "rare": {"queries": 5, "requests": 9},
        "redacted": {"requests": {"email": 12, "ip": 0}, "judgements": {"email": 1}},
        "sessions": "keyed",
    },
    "mined": {
        "negatives": {"log": 120, "ann": 800, "random": 80},
        "queries": 100,
        "queries_short": 3,
        "hidden_answers": 40,
        "blind_negatives": 400,
        "relevant_negatives": 1,
        "scores": {"positive": QUANTILES, "log": QUANTILES, "ann": {}},
        "limits": {"duplicates_of_positives": {"limit": 0, "value": 0, "holds": True}},
    },
    "audited": {
        "success": True,
        "triplets": 130,
        "promises": 12,
        "warnings": [{"sentence": "triplets: one page is in half of them."}],
        "broken": [],
    },
}


def test_every_plot_stands_on_its_own_and_says_that_the_log_is_simulated():
    drawn = data_plots(DATA, simulated=True)
    assert tuple(drawn) == NAMES
    for name, svg in drawn.items():
        assert ElementTree.fromstring(svg).get("aria-label")
        assert ("simulated" in svg) == (name != "scores")
    assert drawn == data_plots(DATA, simulated=True)
    assert "simulated" not in "".join(data_plots(DATA, simulated=False).values())


def test_the_page_tells_what_was_logged_left_out_mined_and_audited(a_view_with):
    page = render(a_view_with(data=DATA))
    assert page.count("<figure>") == 10
    assert "&lt;b&gt;sort&lt;/b&gt; an array" in page and "<b>sort" not in page
    for words in ("Not identifiable", "duplicates of positives", "one page is in half of them"):
        assert words in page


@pytest.mark.parametrize("part", DATA)
def test_any_part_may_be_missing(a_view_with, part):
    rest = {name: value for name, value in DATA.items() if name != part}
    assert 'id="log"' in render(a_view_with(data=rest))
    assert 'id="log"' in render(a_view_with(data={part: DATA[part]}))
    assert 'id="log"' not in render(a_view_with())


def test_propensities_that_nobody_could_estimate_are_not_drawn():
    unknown = [{"rank": 1, "propensity": None, "low": None, "high": None}]
    assert data_plots({"propensities": unknown}, simulated=False) == {}


def test_rows_left_out_are_listed_by_table_and_reason():
    refused = {"quarantined": {"requests": {"bot": 3, "ts_missing": 1}, "events": {}}}
    assert left_out(refused, DATA["snapshot"]) == [
        ("judgements", "about deleted documents", 4),
        ("requests", "too few sessions asked it", 9),
        ("requests", "bot", 3),
        ("requests", "ts_missing", 1),
    ]
    assert left_out({}, {}) == []


def test_personal_data_that_was_replaced_is_counted_and_its_absence_is_said(a_view_with):
    page = render(a_view_with(data=DATA))
    assert "12 email in requests, 1 email in judgements; what was found is not in" in page
    assert "Sessions are hashed with a key." in page
    clean = DATA["snapshot"] | {"redacted": {"requests": {"email": 0}}, "sessions": "numbered"}
    page = render(a_view_with(data=DATA | {"snapshot": clean}))
    assert "none was found" in page and "Sessions are numbered." in page


def test_days_show_what_the_last_accepted_log_had_of_them():
    day = {**DATA["profile"]["days"][0], "requests": 7}
    drawn = [
        data_plots({**DATA, "accepted": {"profile": profile}}, simulated=False)["days"]
        for profile in (None, {"days": [{**day, "day": "1999-01-01"}]}, {"days": [day]})
    ]
    assert drawn[0] == drawn[1] == data_plots(DATA, simulated=False)["days"]
    assert drawn[2] != drawn[0]
