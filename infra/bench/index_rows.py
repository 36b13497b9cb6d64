"""From what was measured to the rows of bench/index.json, with the bounds that they must keep."""

from collections.abc import Sequence
from statistics import mean, median

import numpy as np

from infra.bench.corpus import Shape
from infra.bench.growth import Point, slope
from infra.bench.lance import NAME
from infra.bench.measured import Side
from infra.bench.row import Row, row


def own_rows(ours: Side, shape: Shape) -> list[Row]:
    """What one change costs, and what the updates do to recall and latency."""
    more, n = ours.more, f"{shape.documents:,} x {shape.dimension}"
    below = [ours.fresh_recall[u] - ours.recall[u] for u in ours.fresh_recall if u]
    rows = [
        row(f"1 % change of {n}: bytes written, median", more["increment_mb"], "MB",
            against="the whole index", base=more["index_mb"], at_most=0.02, of_ratio=True),
        row("of the whole index: the words, for BM25", more["words_mb"], "MB",
            against="the whole index", base=more["index_mb"]),
        row("1 % change: add, write, publish, swap, median", more["increment_s"], "s",
            against="full rebuild and publish, its tuning left out", base=more["rebuild_s"],
            at_most=0.05, of_ratio=True),
        row("the same, mean of all updates with their compactions",
            mean(cost.seconds for cost in ours.updates), "s",
            against="full rebuild and publish, its tuning left out", base=more["rebuild_s"]),
        row("tuning nprobe of a full rebuild", more["tuning_s"], "s"),
        row(f"comparison of {shape.documents:,} documents, texts read and hashed",
            more["comparison_s"], "s", at_most=2),
        row(f"embedding {shape.replaced + shape.moved:,} texts, static encoder",
            more["embedding_s"], "s"),
        row("probe checks of the whole index", more["checks_s"], "s"),
        row("reader takes in the new release, median", more["following_s"], "s"),
        row(f"lowest recall@10 in {shape.updates} updates", min(ours.recall.values()), "recall@10",
            against=f"exact search, nprobe {more['nprobe']:g}", at_least=0.95),
        row("recall@10 under a fresh build, at the worst", max(below, default=0.0), "recall@10",
            against="the fresh build, same nprobe", at_most=0.01),
        row(f"search p95 after {shape.updates} updates", more["p95_ms"], "ms",
            against=f"a fresh build; {more['segments']:g} segments, {more['searched']:g} in memory",
            base=more["fresh_p95_ms"], at_most=1.3, of_ratio=True),
        row(f"compactions in {shape.updates} updates", more["compactions"], "updates"),
    ]  # fmt: skip
    if "compaction_s" in more:
        rows += [
            row("update that compacts, median", more["compaction_s"], "s"),
            row("update that compacts, longest", more["compaction_max_s"], "s"),
            row("update that compacts, largest", more["compaction_max_mb"], "MB",
                against="the whole index", base=more["index_mb"]),
            row("peak memory of an update that compacts", more["compaction_peak_mb"], "MB",
                against="the whole index", base=more["index_mb"]),
        ]  # fmt: skip
    for name, key in (
        ("an update", "increment_peak_mb"),
        ("the probe checks", "checks_peak_mb"),
        ("the reader taking in an update", "following_peak_mb"),
        ("a full rebuild", "rebuild_peak_mb"),
    ):
        rows.append(
            row(f"peak memory of {name}", more[key], "MB",
                against="the whole index", base=more["index_mb"])
        )  # fmt: skip
    return rows


def beside_rows(sides: Sequence[Side], shape: Shape) -> list[Row]:
    """The same updates on every side: time, bytes, recall, latency; bytes against ours."""
    ours, rows = sides[0], []
    own, own_median = _bytes(ours) / 1e6, _median_bytes(ours) / 1e6
    for side in sides:
        seconds = [cost.seconds for cost in side.updates]
        after, before = (float(np.percentile(ms, 95)) for ms in (side.after_ms, side.before_ms))
        last = side.recall[shape.updates]
        name = side.name
        rows += [
            row(f"{name}: first build", side.build.seconds, "s"),
            row(f"{name}: an update, mean", mean(seconds), "s"),
            row(f"{name}: an update, median", median(seconds), "s"),
            row(f"{name}: bytes of an update, mean", _bytes(side) / 1e6, "MB",
                against="" if side is ours else "Perennial",
                base=None if side is ours else own,
                at_least=50 if name.startswith(NAME) else None, of_ratio=name.startswith(NAME)),
            row(f"{name}: bytes of an update, median",
                _median_bytes(side) / 1e6, "MB",
                against="" if side is ours else "Perennial",
                base=None if side is ours else own_median),
            row(f"{name}: recall@10, lowest", min(side.recall.values()), "recall@10"),
            row(f"{name}: recall@10 after the last update", last, "recall@10"),
            row(f"{name}: search p95 after the last update", after, "ms",
                against="before the first", base=before),
            row(f"{name}: peak memory of an update", max(c.peak_mb for c in side.updates), "MB"),
        ]  # fmt: skip
    return rows


def growth_rows(points: Sequence[Point], *, dimension: int, change: int) -> list[Row]:
    """One fixed change in growing corpora: the costs, and the exponent that they grow with."""
    sizes, rows = [float(point.documents) for point in points], []
    for point in points:
        name = f"{change} changes in {point.documents:,} x {dimension}"
        rows += [
            row(f"{name}: time, median", point.update_seconds, "s",
                against="a full build", base=point.build_seconds),
            row(f"{name}: bytes, median", point.update_bytes / 1e6, "MB",
                against="the whole index", base=point.index_bytes / 1e6),
        ]  # fmt: skip
    for name, costs, at_most in (
        ("time of a fixed change", [p.update_seconds for p in points], 0.25),
        ("bytes of a fixed change", [p.update_bytes for p in points], 0.25),
        ("time of the comparison", [p.comparison_seconds for p in points], None),
        ("time of a full build", [p.build_seconds for p in points], None),
    ):
        exponent = slope(sizes, costs)
        rows.append(
            row(f"growth of the {name}: slope on log-log", exponent, "exponent",
                against="0 is the change alone, 1 the corpus", at_most=at_most)
        )  # fmt: skip
    return rows


def _median_bytes(side: Side) -> float:
    return median(cost.bytes for cost in side.updates)


def _bytes(side: Side) -> float:
    return mean(cost.bytes for cost in side.updates)
