"""Growth: the cost of one and the same change in ever larger corpora, and its slope."""

import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from infra.bench.catalogue import Catalogue
from infra.bench.corpus import Shape, prepare
from infra.bench.lineage import Lineage, index_bytes

Track = Callable[[Iterable[int], str], Iterable[int]]
UPDATES = 9  # those that compact are left out: the side's own rows amortise them


@dataclass(frozen=True)
class Point:
    """One corpus: medians over its updates of the fixed change."""

    documents: int
    build_seconds: float
    index_bytes: float
    update_seconds: float
    update_bytes: float
    comparison_seconds: float


def run(
    folder: Path,
    *,
    sizes: Sequence[int],
    dimension: int,
    change: int,
    factory: str,
    seed: int,
    track: Track,
) -> list[Point]:
    """A point per corpus size, each in a store of its own; the folders are removed."""
    points = []
    for size in track(sizes, "growth"):
        shape = Shape(size, dimension, UPDATES, change, queries=20, probes=100, seed=seed)
        corpus = prepare(folder / "corpus", shape)
        home = folder / "home"
        home.mkdir()
        lineage, catalogue = Lineage(home, factory, 0.9, seed), Catalogue.of(corpus)
        built = lineage.build(corpus, catalogue)
        steps = []
        for update in range(1, UPDATES + 1):
            changed = corpus.change(update)
            catalogue.apply(changed, update=update)
            steps.append(lineage.update(changed, catalogue))
        plain = [step.writing for step in steps if not step.is_compacted]
        points.append(
            Point(
                size,
                built.seconds,
                index_bytes(lineage.served.manifest),
                median(cost.seconds for cost in plain),
                median(cost.bytes for cost in plain),
                median(step.comparison.seconds for step in steps),
            )
        )
        del lineage, corpus
        shutil.rmtree(folder)
    return points


def slope(documents: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent e of cost = c * documents ** e, by least squares on logarithms."""
    x, y = ([math.log(v) for v in values] for values in (documents, costs))
    return float(np.polyfit(x, y, 1)[0])
