"""The plots of the report, each a function from plain rows to SVG text."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from perennial.quality.metrics import TITLES
from perennial.report.svg import COLOURS, drawing, to_svg
from perennial.report.view import Bounds, CurveRow, RecallRow
from perennial.report.words import is_number, signed, system_title

ORDER = ("lexical", "champion", "candidate")
MOST_BARS = 600
Floats = npt.NDArray[np.float64]


def loss_curve(rows: Sequence[CurveRow]) -> str:
    """Training loss per step with its running mean; below it the validation score, if measured."""
    steps = np.array([row["step"] for row in rows if is_number(row["loss"])], dtype=float)
    losses = np.array([row["loss"] for row in rows if is_number(row["loss"])], dtype=float)
    measured = [
        (row["step"], float(row["validation"] or 0.0))
        for row in rows
        if is_number(row.get("validation"))
    ]
    with drawing(2 if measured else 1, height=3.2) as (figure, axes):
        mean = _running_mean(losses, window=max(1, len(losses) // 20))
        axes[0].plot(steps, losses, color=COLOURS["candidate"], alpha=0.28, linewidth=1)
        axes[0].plot(steps, mean, color=COLOURS["candidate"])
        axes[0].set_ylabel("training loss")
        if measured:
            at, score = np.array(measured).T
            best = int(score.argmax())
            axes[1].plot(at, score, color=COLOURS["champion"], marker="o", markersize=3)
            axes[1].plot(
                at[best], score[best], "o", color=COLOURS["gain"], markersize=7, fillstyle="none"
            )
            axes[1].annotate(
                f"best {score[best]:.3f}",
                (at[best], score[best]),
                xytext=(0, 8),
                textcoords="offset points",
                ha="center" if 0 < best < len(at) - 1 else ("left" if best == 0 else "right"),
                color=COLOURS["gain"],
            )
            axes[1].set_ylabel("validation")
            axes[1].margins(y=0.3)
        axes[-1].set_xlabel("step")
        axes[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
        figure.align_ylabels()
        label = f"Loss over {len(rows)} steps"
        return to_svg(figure, name="loss", label=label)


def recall_by_k(rows: Sequence[RecallRow]) -> str:
    """Recall against k on a logarithmic axis, one line with its band per system."""
    with drawing(height=3.2) as (figure, (axis,)):
        for system in _in_order(row["system"] for row in rows):
            own = sorted((row for row in rows if row["system"] == system), key=lambda r: r["k"])
            ks = [row["k"] for row in own]
            colour = COLOURS.get(system, COLOURS["muted"])
            low = [_or_nan(row.get("low")) for row in own]
            high = [_or_nan(row.get("high")) for row in own]
            axis.fill_between(ks, low, high, color=colour, alpha=0.16, linewidth=0)
            axis.plot(
                ks,
                [row["recall"] for row in own],
                color=colour,
                marker="o",
                markersize=3,
                label=system_title(system),
            )
        ticks = sorted({row["k"] for row in rows})
        axis.set_xscale("log")
        axis.set_xticks(ticks, [str(k) for k in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("k")
        axis.set_ylabel("recall@k")
        axis.set_ylim(bottom=0)
        axis.legend(loc="lower right")
        return to_svg(figure, name="recall", label="Recall by k, with intervals, per system")


def per_query_gain(gains: Sequence[float], *, metric: str) -> str:
    """Each query's difference, best first: what was gained above the line, what was lost below."""
    ordered = np.sort(np.array([g for g in gains if is_number(g)], dtype=float))[::-1]
    gained, lost = int((ordered > 0).sum()), int((ordered < 0).sum())
    same = len(ordered) - gained - lost
    with drawing(height=3.2) as (figure, (axis,)):
        # More steps than pixels only make the page heavy: evenly spaced ones tell the same.
        edges = np.unique(np.linspace(0, len(ordered), MOST_BARS + 1).astype(int))
        heights = np.append(ordered, ordered[-1] if len(ordered) else 0.0)[edges]
        for part, colour in ((heights > 0, "gain"), (heights < 0, "loss")):
            # One filled outline per side: a rectangle per query makes a page of megabytes.
            axis.fill_between(
                edges,
                np.where(part, heights, 0.0),
                step="post",
                color=COLOURS[colour],
                linewidth=0,
                alpha=0.9,
            )
        axis.axhline(0, color=COLOURS["muted"], linewidth=0.8)
        for words, x, y, colour, side in (
            (f"{gained} gained", 0.97, 0.93, "gain", "right"),
            (f"{same} the same", 0.97, 0.85, "muted", "right"),
            (f"{lost} lost", 0.97, 0.77, "loss", "right"),
        ):
            axis.text(x, y, words, transform=axis.transAxes, ha=side, color=COLOURS[colour])
        low, high = float(ordered.min(initial=-0.05)), float(ordered.max(initial=0.05))
        axis.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        axis.set_xlim(0, max(1, len(ordered)))
        axis.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: signed(value, 1) if abs(value) > 1e-9 else "0")
        )
        axis.set_xlabel("queries, the largest gain first")
        axis.set_ylabel(f"difference in {TITLES.get(metric, metric)}")
        label = f"Per-query difference: {gained} gained, {same} the same, {lost} lost"
        return to_svg(figure, name="gain", label=label)


def rounds(
    rows: Sequence[Mapping[str, Mapping[str, Bounds]]], *, metric: str, simulated: bool
) -> str:
    """The metric per round of retraining, one line with error bars per system."""
    with drawing(height=3.2) as (figure, (axis,)):
        for place, system in enumerate(ORDER):
            cells = [(i, row[system][metric]) for i, row in enumerate(rows, 1) if system in row]
            if not cells:
                continue
            x = np.array([i for i, _ in cells]) + (place - 1) * 0.06
            y = np.array([_or_nan(cell["value"]) for _, cell in cells])
            low = y - [_or_nan(cell["low"]) for _, cell in cells]
            high = np.array([_or_nan(cell["high"]) for _, cell in cells]) - y
            axis.errorbar(
                x,
                y,
                yerr=np.nan_to_num(np.stack([low, high])),
                color=COLOURS[system],
                marker="o",
                markersize=4,
                elinewidth=1,
                linestyle="--" if system == "lexical" else "-",
                label=system_title(system),
            )
        axis.set_xticks(range(1, len(rows) + 1))
        axis.set_xlim(0.6, len(rows) + 0.4)
        axis.set_xlabel("round of retraining" + (" on simulated clicks" if simulated else ""))
        axis.set_ylabel(TITLES.get(metric, metric))
        axis.legend(loc="lower right")
        return to_svg(figure, name="rounds", label=f"{TITLES.get(metric, metric)} by round")


def _in_order(systems: Iterable[str]) -> list[str]:
    names = list(dict.fromkeys(systems))
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def _running_mean(values: Floats, window: int) -> Floats:
    sums = np.cumsum(np.insert(values, 0, 0.0))
    start = np.maximum(np.arange(len(values)) + 1 - window, 0)
    return np.asarray((sums[1:] - sums[start]) / (np.arange(len(values)) + 1 - start))


def _or_nan(value: object) -> float:
    return float(value) if is_number(value) else math.nan  # type: ignore[arg-type]
