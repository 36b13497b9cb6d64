"""The plots of the index benchmark: recall over the updates, bytes per update, and growth."""

from collections.abc import Sequence

from infra.bench.growth import Point
from infra.bench.measured import Side
from perennial.report.svg import COLOURS, drawing, to_svg

COLOUR = {
    "Perennial": COLOURS["candidate"],
    "one FAISS IVF": COLOURS["champion"],
    "LanceDB": COLOURS["lexical"],
    "LanceDB, our lists": COLOURS["muted"],
}


def recall_over_updates(sides: Sequence[Side]) -> str:
    """recall@10 after each update, a line per side; a ring is a fresh build at that point."""
    with drawing(height=3.2) as (figure, (axis,)):
        for side in sides:
            colour = COLOUR[side.name]
            axis.plot(list(side.recall), list(side.recall.values()), color=colour, label=side.name)
            axis.plot(
                list(side.fresh_recall),
                list(side.fresh_recall.values()),
                "o",
                color=colour,
                fillstyle="none",
                markersize=7,
            )
        axis.axhline(0.95, color=COLOURS["loss"], linewidth=0.8, linestyle="--")
        axis.set_xlabel("updates of 1 % (rings: a fresh build)")
        axis.set_ylabel("recall@10")
        axis.legend(loc="lower left")
        return to_svg(figure, name="recall", label="Recall at 10 after each update, per side")


def bytes_per_update(sides: Sequence[Side]) -> str:
    """Megabytes written by each update, compactions and all, on a logarithmic axis."""
    with drawing(height=3.2) as (figure, (axis,)):
        for side in sides:
            written = [cost.bytes / 1e6 for cost in side.updates]
            mean = sum(written) / len(written)
            axis.plot(range(1, len(written) + 1), written, color=COLOUR[side.name], linewidth=1)
            axis.axhline(mean, color=COLOUR[side.name], linestyle=":", linewidth=1)
            axis.plot([], [], color=COLOUR[side.name], label=f"{side.name}, mean {mean:.3g} MB")
        axis.set_yscale("log")
        axis.set_xlabel("update")
        axis.set_ylabel("MB written")
        axis.legend(loc="upper right")
        return to_svg(figure, name="bytes", label="Megabytes written by each update, per side")


def growth(points: Sequence[Point], *, change: int) -> str:
    """Seconds and megabytes of one fixed change, and a full build, against the corpus: log-log."""
    sizes = [point.documents for point in points]
    with drawing(2, height=4.6) as (figure, (time, size)):
        for label, values, colour in (
            ("full build and publish", [p.build_seconds for p in points], "muted"),
            ("comparison", [p.comparison_seconds for p in points], "champion"),
            (f"update of {change} documents", [p.update_seconds for p in points], "candidate"),
        ):
            time.plot(sizes, values, color=COLOURS[colour], marker="o", markersize=3, label=label)
        time.set_ylabel("seconds")
        for label, values, colour in (
            ("the whole index", [p.index_bytes / 1e6 for p in points], "muted"),
            (f"update of {change} documents", [p.update_bytes / 1e6 for p in points], "candidate"),
        ):
            size.plot(sizes, values, color=COLOURS[colour], marker="o", markersize=3, label=label)
        size.set_ylabel("MB written")
        for axis in (time, size):
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.legend(loc="best")
        size.set_xticks(sizes, [f"{each:,}" for each in sizes])
        size.minorticks_off()
        size.set_xlabel("documents in the corpus")
        figure.align_ylabels()
        return to_svg(figure, name="growth", label="Cost of one fixed change in growing corpora")
