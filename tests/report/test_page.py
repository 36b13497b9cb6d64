"""The page: complete, honest about what is simulated, and alone in the world."""

import re
from dataclasses import fields
from html.parser import HTMLParser

import pytest

from perennial.quality.decision import OUTCOMES
from perennial.report import words
from perennial.report.page import interval_bars, plots, render

VOID = {"meta", "link", "img", "br", "hr", "input"}
NO_PLOTS = {"curve": (), "recall_by_k": (), "gains": (), "rounds": ()}
CLICKED = ("metrics", "curves", "slices", "queries", "shadow", "canary", "data")


class Reader(HTMLParser):
    """Collects what a browser would: tags, attributes and text; refuses unbalanced tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def page(view) -> str:
    return render(view)


def test_the_page_names_no_outside_host_and_runs_no_script(page):
    assert "://" not in page
    reader = Reader(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    for name, value in reader.attributes:
        if name in ("src", "href", "action", "xlink:href"):
            assert value.startswith("#"), (name, value)
        assert "url(" not in value.replace("url(#", "")
    css = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in css
    assert "@import" not in css
    assert "default-src 'none'" in page


def test_the_decision_and_its_reasons_come_before_everything_else(page, view):
    for reason in view.decision["reasons"]:
        assert page.index('id="verdict"') < page.index(reason[:30]) < page.index('id="metrics"')
    order = [page.index(f'id="{name}"') for name in ("verdict", *CLICKED, "origin", "timings")]
    assert order == sorted(order)


def test_every_metric_of_every_system_stands_there_with_its_interval(page, view):
    text = Reader(page).text
    for metric in words.metrics_of(view.comparison):
        for system in view.comparison["systems"].values():
            assert words.number(system[metric]["value"]) in text
            assert words.interval(system[metric]) in text
        change = view.comparison["differences"]["candidate-champion"][metric]
        assert f"{words.signed(change['value'])}{words.interval(change, sign=True)}" in text


def test_every_part_of_the_view_is_on_the_page(page, view):
    text = Reader(page).text
    for expected in (
        view.run_id,
        "compute the singular value decomposition of a matrix",
        "pad an array with zeros",
        "reverse the order of rows",
        "scipy.sparse.linalg.svds",
        "Click success rose by 0.029",
        "impressions",
        "rel-5f4e3d2c1b0a",
        view.lineage["snapshot_digest"],
        "14.2 s",
        "mlflow ui",
        "effective_rank",
    ):
        assert expected in text
    assert page.count("<figure>") == len(plots(view)) == 5


def test_what_comes_from_simulated_clicks_says_so_in_its_own_section(page):
    sections = {m[1]: m[0] for m in re.finditer(r'<h2 id="(\w+)">.*?</h2>', page, re.DOTALL)}
    sections["verdict"] = page[page.index('class="eyebrow"') : page.index('id="verdict"')]
    for name in (*CLICKED, "verdict"):
        assert "simulated" in sections[name], name
    assert "All clicks behind this page are simulated" in page


def test_real_clicks_are_nowhere_called_simulated(a_view_with):
    assert "simulated" not in render(a_view_with(simulated=False))


def test_the_same_view_gives_the_same_bytes(page, view):
    assert render(view) == page


def test_queries_and_titles_cannot_inject_markup(a_view_with):
    evil = '<script>alert(1)</script>"><img src=x onerror=y>'
    view = a_view_with(
        **NO_PLOTS,
        title=evil,
        run_id=evil,
        best=[
            {
                "query": evil,
                "slice": evil,
                "champion": 0.0,
                "candidate": 1.0,
                "before": [(evil, evil, True)],
                "after": [],
            }
        ],
        lineage={"git_commit": evil},
    )
    reader = Reader(render(view))
    assert not {"script", "img"} & set(reader.tags)
    assert evil in reader.text


def test_a_run_that_was_refused_early_still_has_a_page(a_view_with):
    required = ("title", "created_at", "run_id", "decision", "comparison", "simulated")
    full = a_view_with()
    bare = type(full)(**{name: getattr(full, name) for name in required})
    assert {field.name for field in fields(bare)} > set(required)
    reader = Reader(render(bare))
    assert "Promote" in reader.text
    assert "svg" not in reader.tags


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_has_its_words(a_view_with, outcome):
    decision = {"outcome": outcome, "reasons": ["because."] * 9, "evidence": []}
    text = Reader(render(a_view_with(decision=decision, **NO_PLOTS))).text
    assert words.OUTCOMES[outcome][0] in text
    assert "4 more" in text
    assert text.count("because.") == 9


def test_what_is_unknown_is_said_and_never_nan_or_none(a_view_with):
    full = a_view_with()
    unknown = {"value": None, "low": None, "high": None}
    tally = {"wins": 0, "ties": 0, "losses": 0}
    metrics = words.metrics_of(full.comparison)
    comparison = full.comparison | {
        "queries": 0,
        "systems": {s: dict.fromkeys(metrics, unknown) for s in full.comparison["systems"]},
        "differences": {"candidate-champion": dict.fromkeys(metrics, unknown | tally)},
        "judged": {"champion": None, "candidate": float("nan")},
        "slices": {},
        "health": {"ann_recall@10": None},
    }
    evidence = [{"name": "queries", "bound": 100.0, "n": 0, "holds": None, **unknown}]
    view = a_view_with(
        comparison=comparison,
        decision={"outcome": "inconclusive", "reasons": ["Too few."], "evidence": evidence},
        recall_by_k=[{"system": "champion", "k": 1, "recall": 0.5, "low": None, "high": None}],
        curve=[{"step": 0, "epoch": 0, "loss": 0.3, "validation": None}],
        gains=[0.0],
    )
    text = Reader(render(view)).text
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)
    assert "no interval" in text
    assert "Not enough evidence" in text


def test_a_broken_promise_is_shown_with_its_count(a_view_with):
    broken = {"table": "events", "promise": "only on shown documents", "count": 7, "share": 0.01}
    table = {"rows": 700, "promises": 9, "broken": 1}
    text = Reader(
        render(
            a_view_with(
                **NO_PLOTS,
                validate={"success": False, "tables": {"events": table}, "broken": [broken]},
            )
        )
    ).text
    assert "only on shown documents: 7 rows" in text


def test_bars_share_one_scale_with_zero_in_the_middle():
    bars = interval_bars(
        {
            "sure": {"value": 0.1, "low": 0.05, "high": 0.2},
            "tie": {"value": 0.0, "low": -0.1, "high": 0.1},
            "unknown": {"value": None, "low": None, "high": None},
        }
    )
    assert set(bars) == {"sure", "tie"}
    assert bars["sure"]["left"] > 50
    assert bars["tie"]["point"] == 50
    assert bars["sure"]["left"] + bars["sure"]["width"] <= 100
