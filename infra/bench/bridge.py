"""`make bench-bridge`: what a bridge finds of the full re-embedding, and when it is not worth it.

Every pair of encoders is measured in one run on the same held-out queries: each kind of map by the
number of documents that it was fitted on, the champion that would simply stay, and the verb's own
estimate from a sample beside what the full re-embedding then shows.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.bench.bridge_worlds import World, worlds
from infra.bench.row import Row, row, show
from perennial.index.agreement import exact_rows, fit_each, recall_against_exact
from perennial.index.bridge import Bridge
from perennial.index.linear import KINDS, fit_bridge
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.quality.bridged import judge_bridge
from perennial.quality.metrics import per_query_metrics
from perennial.report.svg import COLOURS, drawing, to_svg
from perennial.verbs.bridging.measure import K, measure_sampled
from perennial.verbs.bridging.sample import Sample

OUT = Path("bench")
HOME = OUT / "bridge-home"
SIZES = (500, 1000, 2000, 4000, 8000)
COLOUR = dict(zip(KINDS, ("candidate", "gain", "lexical"), strict=True))


@dataclass(frozen=True)
class Curve:
    """recall@10 against the full re-embedding, by kind and number of fitted documents."""

    name: str
    sizes: list[int]
    recall: dict[str, list[float]]
    champion: float


def main() -> int:
    """Train, fit, measure; print a table per pair, write bench/bridge.json and bridge.svg."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    params, rows, curves, skipped = load_params(Path("params.yaml")), [], [], []
    for world in worlds(params, HOME):
        if isinstance(world, str):
            skipped.append(world)
            print(world)
            continue
        found, curve = measure(world, params)
        show(found, title=f"{world.name}: {len(world.doc_ids)} documents")
        rows += found
        curves.append(curve)
    rows += [row(sentence, None, "") for sentence in skipped]
    (OUT / "bridge.json").write_text(json.dumps(rows, indent=1) + "\n")
    (OUT / "bridge.svg").write_text(plot(curves))
    return 0 if all(each["holds"] is not False for each in rows) else 1


def measure(world: World, params: Params) -> tuple[list[Row], Curve]:
    """The rows of one pair, and its curve."""
    order = np.random.default_rng(params.bridge.seed).permutation(len(world.doc_ids))
    least = max(world.new.shape[1], world.old.shape[1])
    sizes = [size for size in sorted({*SIZES, len(order)}) if least <= size <= len(order)]
    champion = float(_recall(world, world.asked_old).mean())
    curve = Curve(world.name, sizes, {kind: [] for kind in KINDS}, champion)
    rows = [_against(world, "the champion itself", champion, base=None)]
    if world.new.shape[1] == world.old.shape[1]:
        unmapped = float(_recall(world, world.asked_new).mean())
        rows.append(_against(world, "no map at all", unmapped, base=champion))
    for size in sizes:
        fitted = {"new": world.new[order[:size]], "old": world.old[order[:size]]}
        for kind in KINDS:
            bridge = fit_bridge(kind, **fitted, ridge=params.bridge.ridge, rank=params.bridge.rank)
            recall = float(_recall(world, bridge.apply(world.asked_new)).mean())
            curve.recall[kind].append(recall)
            rows.append(_against(world, f"{kind}, {size} documents", recall, base=champion))
    bridge, estimated = _as_the_verb(world, order, params, rows)
    full = _recall(world, bridge.apply(world.asked_new))
    gain = float((full - _recall(world, world.asked_old)).mean())
    name = f"{world.name}: gain over the champion, of the bridge that the verb "
    name += "would publish" if estimated else "refuses"
    least_gain = 0.0 if estimated else None
    rows.append(row(name, gain, "recall@10", against="the champion itself", at_least=least_gain))
    old, through, new = (
        _ndcg(world, rows_found)
        for rows_found in (
            exact_rows(world.asked_old, world.old, K),
            exact_rows(bridge.apply(world.asked_new), world.old, K),
            exact_rows(world.asked_new, world.new, K),
        )
    )
    for side, value in (("old encoder", old), ("bridged", through), ("new encoder", new)):
        rows.append(row(f"{world.name}: {side}", value, "ndcg@10", against="old encoder", base=old))
    return rows, curve


def _as_the_verb(
    world: World, order: np.ndarray, params: Params, rows: list[Row]
) -> tuple[Bridge, bool]:
    """The bridge that `perennial bridge` would take, and whether it would publish it."""
    drawn = order[: params.bridge.sample]
    held = np.arange(len(drawn)) < round(params.bridge.held_out_share * len(drawn))
    every = slice(0, params.bridge.queries)
    sample = Sample(
        world.new[drawn], world.old[drawn], held, world.asked_new[every], world.asked_old[every]
    )
    tried = fit_each(
        KINDS,
        new=sample.new,
        old=sample.old,
        held=held,
        asked=sample.asked_new[::2],
        ridge=params.bridge.ridge,
        rank=params.bridge.rank,
        k=K,
    )
    kind, (bridge, _) = next(iter(tried.items()))
    sample = sample.measuring(slice(1, None, 2))
    measured = measure_sampled(
        bridge,
        sample,
        samples=params.evaluate.bootstrap_samples,
        confidence=params.evaluate.confidence,
        seed=params.evaluate.seed,
    )
    decision = judge_bridge(
        recall=measured.bridged, gain=measured.gain, min_recall=params.bridge.min_recall
    )
    full = float(_recall(world, bridge.apply(world.asked_new)).mean())
    name = f"{world.name}: {kind}, estimated by the verb from {len(drawn)} documents"
    rows.append(
        row(name, measured.bridged.value, "recall@10", against="the same map in full", base=full)
    )
    return bridge, decision.outcome == "promote"


def _recall(world: World, queries: np.ndarray) -> np.ndarray:
    """(q,) recall@10 of queries in the old space, against exact search under the new encoder."""
    found = exact_rows(queries, world.old, K)
    return recall_against_exact(found, queries=world.asked_new, documents=world.new)


def _ndcg(world: World, found: np.ndarray) -> float:
    """Mean nDCG@10 of (q, k) document rows, best first."""
    scores = per_query_metrics(world.queries, world.doc_ids[found], world.judgements)
    return float(scores["ndcg@10"].mean())


def _against(world: World, name: str, value: float, *, base: float | None) -> Row:
    against = "the champion itself" if base else "the full re-embedding"
    return row(f"{world.name}: {name}", value, "recall@10", against=against, base=base)


def plot(curves: list[Curve]) -> str:
    """recall@10 by documents fitted on, a panel per pair; dashed is the champion that stays."""
    with drawing(len(curves), height=1.9 * len(curves)) as (figure, axes):
        for axis, curve in zip(axes, curves, strict=True):
            for kind, values in curve.recall.items():
                axis.plot(curve.sizes, values, "o-", markersize=3, color=COLOURS[COLOUR[kind]],
                          label=kind)  # fmt: skip
            axis.axhline(curve.champion, color=COLOURS["champion"], linestyle="--", linewidth=1)
            axis.set_title(curve.name)
            axis.set_ylim(0, 1)
            axis.set_ylabel("recall@10")
        axes[0].legend(loc="lower right")
        axes[-1].set_xscale("log")
        axes[-1].set_xlabel("documents fitted on (dashed: the champion itself)")
        return to_svg(figure, name="bridge", label="Recall at 10 through a bridge, per pair")


if __name__ == "__main__":
    sys.exit(main())
