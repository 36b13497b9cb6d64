"""The page of a comparison of indexes: the cheapest that surely suffices first; nothing loaded."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from perennial.quality.paired import Interval
from perennial.report.pareto import money, render_pareto
from perennial.report.pareto_view import ParetoRow, ParetoView, Prices


def row(factory, kind, codes, recall, cost, **more):
    given = {"dimension": 64, "settings": "nprobe 4", "p50_ms": cost * 100, "p95_ms": cost * 200,
             "bytes": int(cost * 1e8), "build_seconds": 1.0, "on_front": True,
             "serves": False}  # fmt: skip
    interval = Interval(recall, recall - 0.01, min(1.0, recall + 0.01), 100)
    return ParetoRow(
        kind=kind, factory=factory, codes=codes, recall=interval, cost=cost, **(given | more)
    )


VIEW = ParetoView(
    release_id="rel-000000000000",
    at=datetime(2026, 2, 2, 12, tzinfo=UTC),
    documents=14_000,
    queries=500,
    recall_target=0.95,
    confidence=0.95,
    prices=Prices(0.04, 0.005, 10.0),
    rows=[
        row("Flat", "Flat", "float32", 1.0, 0.004, serves=True),
        row("IVF256,Flat", "IVF", "float32", 0.953, 0.001),
        row("IVF256,SQ8", "IVF", "SQ8", 0.97, 0.002),
        row("IVF256,PQ8", "IVF", "PQ8", 0.5, 0.0001, on_front=False, dimension=32),
    ],
    left_out=["HNSW32 needs <b>more</b>"],
)


@pytest.mark.slow
def test_the_cheapest_whose_whole_interval_reaches_the_target_stands_first():
    page = render_pareto(VIEW)
    assert page == render_pareto(VIEW)
    said = page[page.index("Cheapest") : page.index('id="figures"')]
    assert re.search(r'<h2 id="verdict">IVF256,SQ8<', said), "0.953 is not surely above 0.95"
    assert "Serving now: Flat" in said and "3 of 4 are on the front" in said
    assert page.count("<svg") == 4 and "HNSW32 needs &lt;b&gt;" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    none = render_pareto(replace(VIEW, rows=VIEW.rows[3:]))
    assert '<h2 id="verdict">None<' in none


def test_money_keeps_two_digits_that_count_and_has_no_exponent():
    said = [money(each) for each in (0, 0.0000128, 0.04, 1.234, 120)]
    assert said == ["0", "0.000013", "0.04", "1.2", "120"]
