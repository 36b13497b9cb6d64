"""The page of a comparison of indexes: what each finds, and what that costs."""

from collections.abc import Callable, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from perennial.report.page import TEMPLATES, environment
from perennial.report.pareto_view import ParetoRow, ParetoView
from perennial.report.svg import COLOURS, drawing, inline, to_svg

_COLOUR_OF = {"float32": "champion", "SQ8": "gain", "PQ": "candidate"}
_MARK_OF = {"Flat": "s", "IVF": "o", "HNSW": "^"}
_LEAST_AREA, _MOST_AREA = 14.0, 64.0
Axis = tuple[str, str, Callable[[ParetoRow], float]]
AXES: tuple[Axis, ...] = (
    ("cost", "cost of 1,000 queries", lambda row: row.cost),
    ("memory", "megabytes", lambda row: row.bytes / 1e6),
    ("median", "milliseconds a query, median", lambda row: row.p50_ms),
    ("slow", "milliseconds a query, 95th percentile", lambda row: row.p95_ms),
)


def render_pareto(view: ParetoView) -> str:
    """The whole page as HTML text; every value from the view is escaped."""
    best = min((row for row in view.rows if _reaches(row, view)), key=_cost, default=None)
    return (
        environment()
        .get_template("pareto.html.j2")
        .render(
            view=view,
            best=best,
            serving=next((row for row in view.rows if row.serves), None),
            css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
            plots=[
                (title, Markup(inline(against(view.rows, name, title, value))))
                for name, title, value in AXES
            ],
            money=money,
            megabytes=lambda size: f"{size / 1e6:,.1f}",
        )
    )


def money(value: float) -> str:
    """0.00042: two digits that count, and no exponent."""
    if value <= 0:
        return "0"
    text = f"{value:.2g}"
    return f"{float(text):.12f}".rstrip("0").rstrip(".") if "e" in text else text


def against(
    rows: Sequence[ParetoRow], name: str, title: str, value: Callable[[ParetoRow], float]
) -> str:
    """Recall over one of the costs; filled are those that nothing beats in everything at once."""
    widest = max(row.dimension for row in rows)
    with drawing(height=3.4) as (figure, (axis,)):
        for row in rows:
            codes = "PQ" if row.codes.startswith("PQ") else row.codes
            colour = COLOURS[_COLOUR_OF[codes]]
            axis.scatter(
                [value(row)],
                [row.recall.value or 0.0],
                s=_LEAST_AREA + (_MOST_AREA - _LEAST_AREA) * row.dimension / widest,
                marker=_MARK_OF[row.kind],
                facecolors=colour if row.on_front else "none",
                edgecolors=colour,
                linewidths=1.3,
                zorder=3 if row.on_front else 2,
            )
        _staircase(axis, rows, value)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: money(x)))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel(title)
        axis.set_ylabel("recall of the true top 10")
        axis.legend(
            handles=_legend(), loc="lower left", bbox_to_anchor=(0, 1), fontsize=7.5, ncols=6,
            columnspacing=1.0, handletextpad=0.2,
        )  # fmt: skip
        return to_svg(figure, name=name, label=f"Recall over {title}, index by index")


def _staircase(axis: Axes, rows: Sequence[ParetoRow], value: Callable[[ParetoRow], float]) -> None:
    """The most that can be found for so much."""
    found, steps = -1.0, list[tuple[float, float]]()
    for row in sorted(rows, key=lambda row: (value(row), -(row.recall.value or 0.0))):
        if (recall := row.recall.value or 0.0) > found:
            found = recall
            steps.append((value(row), recall))
    axis.step(*zip(*steps, strict=True), where="post", color=COLOURS["muted"], linewidth=0.9)


def _legend() -> list[Line2D]:
    codes = [
        Line2D([], [], color=COLOURS[colour], marker="o", linestyle="", markersize=5, label=name)
        for name, colour in _COLOUR_OF.items()
    ]
    kinds = [
        Line2D([], [], color=COLOURS["muted"], marker=mark, linestyle="", fillstyle="none",
               markersize=5, label=name)
        for name, mark in _MARK_OF.items()
    ]  # fmt: skip
    return codes + kinds


def _reaches(row: ParetoRow, view: ParetoView) -> bool:
    """Surely, by the whole of its interval."""
    return row.recall.low is not None and row.recall.low >= view.recall_target


def _cost(row: ParetoRow) -> float:
    return row.cost
