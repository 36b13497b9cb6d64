"""Where a candidate gains and where it loses: one interval per slice."""

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import FuncFormatter

from perennial.quality.metrics import TITLES
from perennial.report.review_view import SliceChange
from perennial.report.svg import COLOURS, drawing, to_svg
from perennial.report.words import is_number, signed

MOST = 24  # slices drawn: those with most queries


def slice_changes(changes: Sequence[SliceChange], *, metric: str) -> str:
    """Candidate - champion per slice with its interval; green or red where it leaves out zero."""
    drawn = sorted(changes, key=lambda change: (-change.queries, change.name))[:MOST][::-1]
    with drawing(height=0.7 + 0.26 * max(len(drawn), 2)) as (figure, (axis,)):
        axis.axvline(0, color=COLOURS["muted"], linewidth=0.8)
        for place, change in enumerate(drawn):
            bounds: list[Any] = [change.difference.get(side) for side in ("value", "low", "high")]
            value, low, high = bounds
            colour = COLOURS["lexical"]
            if is_number(low) and is_number(high):
                colour = COLOURS["gain" if low > 0 else "loss" if high < 0 else "lexical"]
                axis.plot([low, high], [place, place], color=colour, linewidth=4, alpha=0.5)
            if is_number(value):
                axis.plot([value], [place], "o", color=colour, markersize=5)
        # A name is data: a dollar sign in it must not start a formula.
        names = [f"{_short(change.name)} ({change.queries})" for change in drawn]
        axis.set_yticks(range(len(drawn)), names, parse_math=False)
        axis.set_ylim(-0.6, len(drawn) - 0.4)
        axis.grid(visible=False, axis="y")
        axis.margins(x=0.08)
        axis.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: signed(value, 2) if abs(value) > 1e-9 else "0")
        )
        axis.set_xlabel(f"difference in {TITLES.get(metric, metric)}")
        return to_svg(figure, name="slices", label=f"Difference by slice, {len(drawn)} slices")


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
