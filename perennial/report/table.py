"""The comparison as a table for the terminal: three systems, the difference, all with intervals."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from perennial.report.words import (
    interval,
    metric_title,
    metrics_of,
    number,
    signed,
    system_title,
)


def comparison_table(comparison: Mapping[str, Any], *, simulated: bool) -> Table:
    """One metric per row, value above interval; green or red where the interval leaves out zero."""
    systems = [s for s in ("lexical", "champion", "candidate") if s in comparison["systems"]]
    caption = (
        f"{comparison['queries']} held-out queries; intervals at {comparison['confidence']:.0%}"
    )
    if simulated:
        caption += "; the candidate learned from simulated clicks"
    table = Table(caption=caption, caption_justify="left", pad_edge=False, show_lines=False)
    table.add_column("Metric", no_wrap=True)
    for system in systems:
        table.add_column(system_title(system), justify="right")
    table.add_column("Candidate − champion", justify="right")  # noqa: RUF001
    for metric in metrics_of(comparison):
        cells = [_cell(comparison["systems"][system][metric]) for system in systems]
        difference = comparison["differences"]["candidate-champion"][metric]
        table.add_row(metric_title(metric), *cells, _difference(difference))
    return table


def _cell(bounds: Mapping[str, Any]) -> Text:
    return Text(number(bounds["value"])).append(f"\n{interval(bounds)}", style="dim")


def _difference(bounds: Mapping[str, Any]) -> Text:
    low, high = bounds["low"], bounds["high"]
    style = ""
    if low is not None and high is not None:
        style = "bold green" if low > 0 else ("bold red" if high < 0 else "")
    text = Text(signed(bounds["value"]), style=style)
    return text.append(f"\n{interval(bounds, sign=True)}", style="dim not bold")
