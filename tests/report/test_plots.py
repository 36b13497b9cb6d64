"""Plots as SVG text: well formed, the same twice, in the page's colours."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from perennial.report.health_plots import PANELS, has_health, health_curves
from perennial.report.page import plots, render
from perennial.report.plots import loss_curve, per_query_gain, recall_by_k
from perennial.report.svg import COLOURS


@pytest.fixture(scope="module")
def drawn(view) -> dict[str, str]:
    return plots(view)


def test_each_plot_stands_on_its_own_as_xml_with_a_label(drawn):
    assert set(drawn) == {"loss", "health", "recall", "gain", "rounds"}
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("aria-label")
        assert root.get("viewBox")
        assert root.get("width") is None
        assert "metadata" not in svg


def test_plots_are_the_same_bytes_twice(view, drawn):
    assert plots(view) == drawn


def test_every_colour_follows_the_theme_and_falls_back_to_itself(drawn):
    for svg in drawn.values():
        bare = re.sub(r"var\(--\w+, #[0-9a-f]{6}\)", "", svg)
        assert not any(colour in bare for colour in COLOURS.values())
        assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{3,6})", bare)) <= {"#000000"}


def test_no_two_plots_on_a_page_share_an_id(view):
    ids = re.findall(r'\bid="([^"]+)"', render(view))
    assert len(ids) == len(set(ids))


def test_letters_stay_letters_and_say_what_was_counted(drawn):
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn["gain"])
    assert any(text.endswith("gained") for text in texts)
    assert "round of retraining on simulated clicks" in drawn["rounds"]


def test_gains_count_ties_apart():
    svg = per_query_gain([0.5, 0.0, -0.2, 0.0, 0.1], metric="ndcg@10")
    for words in ("2 gained", "2 the same", "1 lost"):
        assert words in svg


def test_one_row_or_no_validation_is_enough():
    assert "<svg" in loss_curve([{"step": 0, "epoch": 0, "loss": 0.4}])
    assert "<svg" in recall_by_k([{"system": "other", "k": 10, "recall": 0.4}])
    assert "<svg" in per_query_gain([], metric="map")


def test_health_shows_what_was_measured_and_nothing_else(drawn):
    for name in PANELS.values():
        assert all(part in drawn["health"] for part in name.split("\n"))
    row = {"step": 0, "epoch": 0, "loss": 0.4}
    assert not has_health([row]) and not has_health([row | {"active": None}])
    svg = health_curves([row | {"active": 0.5, "effective_rank": None, "gradient_norm": 0.0}])
    assert "active" in svg and "norm" in svg and "rank" not in svg and "similarity" not in svg


def test_ten_thousand_queries_stay_a_small_file():
    gains = [i / 10000 - 0.4 for i in range(10000)]
    assert len(per_query_gain(gains, metric="ndcg@10")) < 160_000
