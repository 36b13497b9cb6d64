"""The canary's tests under simulation: false alarms, how soon a loss is stopped, interleaving.

`python -m infra.bench.canary` writes bench/canary.json and two plots; `--quick` is for its test.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from infra.bench import canary_worlds as worlds
from infra.bench.canary_people import alone, interleaved, rankings
from infra.bench.canary_plots import alarms_over_sessions, stops_over_sessions
from infra.bench.row import Row, row, show
from perennial.params.reading import load_params
from perennial.quality.rollout import bets_for
from perennial.quality.sequential import mixed
from perennial.simulation.public import Habits
from perennial.verbs.simulate import habits

_PEEK_FROM = 100  # the z-test is spared its first sessions, where its normal law does not hold


def main(arguments: list[str] | None = None) -> int:
    """0 where every bound holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("bench/canary"))
    parser.add_argument("--runs", type=int, default=1_000, help="rollouts of each kind")
    chosen = parser.parse_args(arguments)
    params = load_params(Path("params.yaml"))
    section, people = params.canary, habits(params.simulate)
    alpha, split = section.alpha, section.split.model_dump()
    runs, sessions = (20, 4_000) if chosen.quick else (chosen.runs, 100_000)
    alarms = _false_alarms(runs, sessions, alpha=alpha, split=split)
    stops = _stops(runs, min(sessions, 40_000), level=alpha * split["loss"])
    rows = [*_alarm_rows(alarms, runs, sessions), *_stop_rows(stops, alpha * split["loss"])]
    rows += _interleaving_rows(
        20 if chosen.quick else min(runs, 400), alpha * split["loss"], people
    )
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    plots = {"alarms": alarms_over_sessions(alarms, sessions), "stops": stops_over_sessions(stops)}
    for name, svg in plots.items():
        chosen.out.with_name(f"{chosen.out.name}-{name}.svg").write_text(svg)
    show(rows, title=f"The canary's tests, {runs} rollouts of {sessions:,} sessions, simulated")
    return 0 if all(each["holds"] is not False for each in rows) else 1


def _false_alarms(
    runs: int, sessions: int, *, alpha: float, split: dict[str, float]
) -> dict[str, np.ndarray]:
    """{test: (runs,) session of its first alarm} where both arms are equal, half and half."""
    level = worlds.levels(alpha, split)
    names = ("rollout", "loss, all of alpha", "z-test, peeked at", "advance at the margin")
    found: dict[str, list[float]] = {name: [] for name in names}
    for seed in _progress(range(runs), "false alarms"):
        rng = np.random.default_rng([41, seed])
        equal = {"share": 0.5, "stable": worlds.SUCCESS, "candidate": worlds.SUCCESS}
        ours, happy = worlds.arms_and_outcomes(rng, sessions, **equal)
        loss = worlds.loss_path(ours, happy, share=0.5)
        first = [
            worlds.first_at(worlds.mismatch_path(ours, share=0.5), level["ratio"]),
            worlds.first_at(loss, level["loss"]),
        ]
        for name, guard in worlds.GUARDS.items():
            bad = rng.random(sessions) < guard.rate + np.where(ours, guard.most, 0.0)
            path = worlds.guard_path(ours, bad, share=0.5, most=guard.most)
            first.append(worlds.first_at(path, level[name]))
        z = np.abs(worlds.peeking_path(ours, happy))
        z[:_PEEK_FROM] = 0.0
        margin = 0.03
        worse = rng.random(sessions) < worlds.SUCCESS * np.where(ours, 1 - margin, 1.0)
        passed = worlds.advance_path(ours, worse, share=0.5, margin=margin)
        found["rollout"].append(min(first))
        found["loss, all of alpha"].append(worlds.first_at(loss, -np.log(alpha)))
        found["z-test, peeked at"].append(worlds.first_at(z, 1.959964))
        found["advance at the margin"].append(worlds.first_at(passed, -np.log(alpha)))
    return {name: np.array(values) for name, values in found.items()}


def _alarm_rows(alarms: dict[str, np.ndarray], runs: int, sessions: int) -> list[Row]:
    share = {name: float(np.isfinite(values).mean()) for name, values in alarms.items()}
    looks = f"{sessions:,} looks, {runs} runs"
    return [
        row("false alarms of a rollout, all its tests", share["rollout"], "share", at_most=0.05,
            against=looks),
        row("false alarms of the test on loss, given all of alpha", share["loss, all of alpha"],
            "share", at_most=0.05, against=looks),
        row("a candidate at the margin passes, given all of alpha",
            share["advance at the margin"], "share", at_most=0.05, against=looks),
        row("false alarms of a z-test that is peeked at", share["z-test, peeked at"], "share",
            against=looks),
    ]  # fmt: skip


def _stops(runs: int, sessions: int, *, level: float) -> dict[float, np.ndarray]:
    """{share: (runs,) session at which a loss of 10 % was stopped}."""
    found = {}
    for share in (0.5, 0.1):
        longer = sessions if share == 0.5 else sessions * 3
        stops = []
        for seed in _progress(range(runs), f"a loss of 10 % at {share:.0%}"):
            rng = np.random.default_rng([43, seed])
            candidate = worlds.SUCCESS * (1 - worlds.DESIGN_LOSS)
            rates = {"stable": worlds.SUCCESS, "candidate": candidate}
            drawn = worlds.arms_and_outcomes(rng, longer, share=share, **rates)
            path = worlds.loss_path(*drawn, share=share)
            stops.append(worlds.first_at(path, -np.log(level)))
        found[share] = np.array(stops)
    return found


def _stop_rows(stops: dict[float, np.ndarray], level: float) -> list[Row]:
    rows = []
    for share, values in stops.items():
        for power in (0.8, 0.9):
            candidate = worlds.SUCCESS * (1 - worlds.DESIGN_LOSS)
            fixed = worlds.fixed_sessions(
                share=share, stable=worlds.SUCCESS, candidate=candidate, alpha=level, power=power
            )
            by_then = float(np.quantile(values, power, method="inverted_cdf"))
            rows.append(
                row(
                    f"a loss of 10 % at {share:.0%}: stopped by then with power {power:.0%}",
                    by_then,
                    "sessions",
                    against=f"fixed-sample z-test, {fixed:,}",
                    base=fixed,
                    at_most=1.5,
                    of_ratio=True,
                )
            )
        finite = values[np.isfinite(values)]
        mean = float(finite.mean()) if len(finite) else None
        rows.append(row(f"a loss of 10 % at {share:.0%}: stopped on average", mean, "sessions"))
    return rows


def _interleaving_rows(runs: int, level: float, people: Habits) -> list[Row]:
    """Sessions until the same loss is sure: of either arm, and of both in one list."""
    world = rankings(np.random.default_rng(5), queries=2_000, lost=worlds.DESIGN_LOSS)
    apart, together, rate = [], [], []
    # One pool of sessions, drawn anew for every run: drafting them is what takes the time.
    rng, pool = np.random.default_rng(7), 60_000 if runs > 20 else 2_000
    asked = rng.integers(len(world.stable), size=pool)
    won = interleaved(rng, world, asked, people)
    stable, candidate = (
        alone(rng, side[asked], people) for side in (world.stable, world.candidate)
    )
    bets = bets_for(margin=0.03, design_loss=worlds.DESIGN_LOSS, success=0.5).below
    for seed in _progress(range(runs), "interleaving"):
        rng = np.random.default_rng([47, seed])
        drawn = rng.integers(pool, size=min(pool, 30_000))
        ours = rng.random(len(drawn)) < 0.5
        happy = np.where(ours, candidate[drawn], stable[drawn])
        path = worlds.loss_path(ours, happy, share=0.5)
        apart.append(worlds.first_at(path, -np.log(level)))
        signs = won[drawn]
        each = np.stack([np.where(signs > 0, np.log((0.5 - b.distance) / 0.5),
                         np.where(signs < 0, np.log((0.5 + b.distance) / 0.5), 0.0))
                         for b in bets])  # fmt: skip
        together.append(worlds.first_at(mixed(np.cumsum(each, axis=1), bets), -np.log(level)))
        rate.append(1 - candidate[drawn].mean() / stable[drawn].mean())
    base, value = (
        float(np.quantile(found, 0.8, method="inverted_cdf")) for found in (apart, together)
    )
    decided = int((won != 0).sum())
    against = f"sessions of either arm, {base:,.0f}, who lose {np.mean(rate):.1%}"
    return [
        row("interleaving: the same loss is sure by then, power 80 %", value, "sessions",
            against=against, base=base if np.isfinite(base) else None),
        row("interleaving: sessions won, of those decided", float((won > 0).sum() / decided),
            "share"),
    ]  # fmt: skip


def _progress(items: Iterable[Any], name: str) -> Iterable[Any]:
    return track(list(items), description=f"  {name}", console=Console(stderr=True))


if __name__ == "__main__":
    sys.exit(main())
