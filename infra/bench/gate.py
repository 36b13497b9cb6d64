"""`make bench-gate`: how often the gate errs, and how often it sees a gain that is there.

By simulation on real differences between two encoders on apidocs, query by query: of a finished
retrain (`--scores FOLDER/artifacts/evaluate/per_query.parquet`), or of two encoders that are
trained here. Moved to a mean that is known, they are the truth; queries are drawn from them.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from infra.bench.gate_trials import METRIC, Trials, false_findings, outcomes, power
from infra.bench.gate_world import Population, of_a_run, of_two_seeds
from infra.bench.row import Row, row, show
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.quality.metrics import METRICS
from perennial.report.svg import COLOURS, drawing, to_svg

OUT = Path("bench")
QUERIES, GAIN = 500, 0.02
CURVE = (-0.04, -0.03, -0.02, 0.0, 0.01, 0.02, 0.03, 0.04, 0.06)
MOST_ERRORS, NEAR = 0.05, 0.03
PARTS = 16


def main(arguments: list[str] | None = None) -> int:
    """Simulate; print the table, write bench/gate.json and gate-power.svg; 1 where one fails."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench.gate", description=__doc__)
    parser.add_argument("--scores", type=Path, help="per_query.parquet of a retrain on apidocs")
    parser.add_argument("--runs", type=int, default=2400, help="experiments per row of the table")
    chosen = parser.parse_args(arguments)
    OUT.mkdir(exist_ok=True)
    params = load_params(Path("params.yaml"))
    if chosen.scores is not None:
        population = of_a_run(chosen.scores)
    else:
        population = of_two_seeds(params, OUT / "gate-home")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows, found = measure(population, params, runs=chosen.runs, pool=pool)
    show(rows, title=f"The gate on {QUERIES} queries, {population.origin}")
    (OUT / "gate.json").write_text(json.dumps(rows, indent=1) + "\n")
    (OUT / "gate-power.svg").write_text(plot(found, population, params))
    return 1 if any(each["holds"] is False for each in rows) else 0


def measure(
    population: Population, params: Params, *, runs: int, pool: ProcessPoolExecutor
) -> tuple[list[Row], dict[float, Trials]]:
    """The rows, and by true difference how often the candidate was promoted as better."""
    centred = population.centred()[:, METRICS.index(METRIC)]
    spread = float(population.spread[METRICS.index(METRIC)])
    margin, confidence = params.gate.max_loss, params.evaluate.confidence
    superior = {"min_gain": 0.0}

    def tried(shift: float, rule: dict[str, float], count: int) -> Trials:
        ask = partial(_part, centred + shift, population.slices, params, rule, count // PARTS)
        parts = list(pool.map(ask, range(PARTS)))
        return Trials(*(sum(getattr(p, n) for p in parts) for n in vars(parts[0])))

    found = {gain: tried(gain, superior, runs if gain in (0.0, GAIN) else runs // 4)
             for gain in CURVE}  # fmt: skip
    equal, better = found[0.0], found[GAIN]
    theory = power(GAIN, spread=spread, n=QUERIES, confidence=confidence)
    at_margin = tried(-margin, {"max_loss": margin}, runs)
    level = tried(0.0, {"max_loss": margin}, runs)
    ask = partial(_findings, population.differences, population.slices)
    findings = float(np.mean(list(pool.map(ask, [runs // 4 // PARTS] * PARTS, range(PARTS)))))
    share = {"unit": "share of experiments"}
    return [
        row("queries measured", float(len(centred)), "queries", against=population.origin),
        row("standard deviation of a difference", spread, METRIC),
        row("queries without a difference", float((population.differences == 0).mean()), "share"),
        row("equal: promoted as better", equal.share, at_most=MOST_ERRORS, **share),
        row("equal: rejected as worse", equal.rejected / equal.runs, **share),
        row("worse by the margin: passes", at_margin.share, at_most=MOST_ERRORS, **share),
        row("equal: passes as not worse", level.share, **share),
        row("better by 0.02: promoted", better.share, **share, against="a paired t test",
            base=theory),
        row("better by 0.02: off theory", abs(better.share - theory), "share",
            against=f"power {theory:.3f}", at_most=NEAR),
        row("equal: any metric or slice called changed", findings, at_most=MOST_ERRORS, **share,
            against="Holm over all of them"),
    ], found  # fmt: skip


def _part(
    differences: np.ndarray,
    slices: list[str | None],
    params: Params,
    rule: dict[str, float],
    runs: int,
    part: int,
) -> Trials:
    return outcomes(differences, slices, params, rule=rule, n=QUERIES, runs=runs, seed=part)


def _findings(differences: np.ndarray, slices: list[str | None], runs: int, part: int) -> float:
    return false_findings(differences, slices, n=QUERIES, runs=runs, samples=1999, seed=part)


def plot(found: dict[float, Trials], population: Population, params: Params) -> str:
    """Promoted as better, and rejected, by the true difference; theory as a line."""
    spread = float(population.spread[METRICS.index(METRIC)])
    gains = np.linspace(min(found), max(found), 201)
    line = [power(g, spread=spread, n=QUERIES, confidence=params.evaluate.confidence)
            for g in gains]  # fmt: skip
    with drawing(height=3.2) as (figure, (axis,)):
        axis.plot(gains, line, color=COLOURS["champion"], label="power of a paired t test")
        axis.plot(list(found), [t.share for t in found.values()], "o", markersize=5,
                  color=COLOURS["candidate"], label="promoted as better")  # fmt: skip
        axis.plot(list(found), [t.rejected / t.runs for t in found.values()], "o", markersize=4,
                  fillstyle="none", color=COLOURS["loss"], label="rejected as worse")  # fmt: skip
        axis.axhline(MOST_ERRORS, color=COLOURS["muted"], linewidth=0.8, linestyle="--")
        axis.set_xlabel(f"true difference in nDCG@10 ({QUERIES} queries)")
        axis.set_ylabel("share of experiments")
        axis.legend(loc="center right")
        return to_svg(figure, name="power", label="What the gate says, by the true difference")


if __name__ == "__main__":
    raise SystemExit(main())
