"""Whether the encoder was well while it learned: one small plot per number, one axis of steps."""

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from perennial.report.svg import COLOURS, drawing, to_svg
from perennial.report.view import CurveRow
from perennial.report.words import is_number

PANELS = {
    "effective_rank": "effective\nrank",
    "similarity": "mean\nsimilarity",
    "active": "active\nshare",
    "gradient_norm": "gradient\nnorm",
}


def has_health(rows: Sequence[CurveRow]) -> bool:
    """Whether any of the numbers was measured."""
    return any(_points(rows, name) for name in PANELS)


def health_curves(rows: Sequence[CurveRow]) -> str:
    """Spread of the vectors, share that still teaches, and gradient norm per step, as measured."""
    seen = {name: points for name in PANELS if (points := _points(rows, name))}
    with drawing(len(seen), height=0.5 + 0.9 * len(seen)) as (figure, axes):
        for axis, (name, points) in zip(axes, seen.items(), strict=True):
            steps, values = zip(*points, strict=True)
            marker = "o" if len(points) == 1 else None
            axis.plot(steps, values, color=COLOURS["candidate"], linewidth=1.2, marker=marker)
            axis.set_ylabel(PANELS[name])
            axis.yaxis.set_major_locator(MaxNLocator(3))
            axis.margins(y=0.15)
            if name == "active":
                axis.set_ylim(0, 1.05)
            if name == "gradient_norm" and min(values) > 0 and max(values) > 100 * min(values):
                axis.set_yscale("log")
        axes[-1].set_xlabel("step")
        axes[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
        figure.align_ylabels()
        return to_svg(figure, name="health", label=f"Health over {len(rows)} steps")


def _points(rows: Sequence[CurveRow], name: str) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    for row in rows:
        value: Any = row.get(name)
        if is_number(value):
            found.append((row["step"], float(value)))
    return found
