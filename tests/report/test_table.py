"""The table in the terminal."""

import io

from rich.console import Console

from perennial.report.table import comparison_table
from perennial.report.words import metrics_of, number


def printed(comparison, *, simulated: bool = True, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(comparison_table(comparison, simulated=simulated))
    return console.file.getvalue()


def test_every_system_stands_beside_the_difference_with_intervals(view):
    text = printed(view.comparison)
    for words in ("Lexical baseline", "Champion", "Candidate", "nDCG@10", "588 held-out queries"):
        assert words in text
    for metric in metrics_of(view.comparison):
        assert number(view.comparison["systems"]["candidate"][metric]["low"]) in text
    assert "…" not in text


def test_simulated_clicks_are_named_only_where_they_were(view):
    assert "simulated" in printed(view.comparison)
    assert "simulated" not in printed(view.comparison, simulated=False)


def test_a_comparison_without_a_baseline_or_bounds_still_prints(view):
    systems = {s: m for s, m in view.comparison["systems"].items() if s != "lexical"}
    unknown = {"value": 0.1, "low": None, "high": None, "wins": 1, "ties": 0, "losses": 0}
    champion = dict.fromkeys(view.comparison["differences"]["candidate-champion"], unknown)
    comparison = view.comparison | {
        "systems": systems,
        "differences": {"candidate-champion": champion},
    }
    text = printed(comparison)
    assert "Lexical" not in text
    assert "no interval" in text
