"""What clicks teach beside true labels: the same loop with either, and its held-out gain.

`python -m infra.bench.teaching` measures this alone, of `make bench-data`: apidocs, or with
`--medquad FOLDER` MedQuAD, from its folder in BEIR's layout; all of it `--draws` times, each with
its own held-out queries, people and seeds.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from infra.bench.row import Row, row, show
from infra.bench.teaching_draws import Pooled, drawn, pooled
from infra.bench.teaching_gain import share_of_gain
from infra.bench.teaching_rounds import METRIC, teach
from infra.bench.teaching_world import World
from perennial.params.reading import load_params

MUST = 0.9  # of the gain that true labels bring
DRAWS = 3
CROWDS = (("lexical", "champion"), ("champion",), ("champion",))
MEDQUAD_QUERIES = 3000  # of its 14,345, drawn at random; the whole corpus is searched


def main() -> int:
    """Measure one world, print the table, write teaching-NAME.json; 1 where the bound fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--medquad", type=Path, help="its folder in BEIR's layout")
    parser.add_argument("--draws", type=int, default=DRAWS, help="how many are pooled")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="folder of the results")
    given = parser.parse_args()
    world, began = apidocs() if given.medquad is None else medquad(given.medquad), time.monotonic()
    home = given.out.absolute() / f"teaching-{world.name}-home"
    shutil.rmtree(home, ignore_errors=True)
    found = measured(world, home, draws=given.draws)
    shutil.rmtree(home)
    (given.out / f"teaching-{world.name}.json").write_text(json.dumps(found, indent=1) + "\n")
    show(found, title=f"what clicks teach, {world.name}, {time.monotonic() - began:.0f} s")
    return 1 if any(each["holds"] is False for each in found) else 0


def rows(home: Path, *, medquad_folder: Path | None) -> list[Row]:
    """The rows of apidocs, and of MedQuAD where its folder is named."""
    worlds = [apidocs()] + ([] if medquad_folder is None else [medquad(medquad_folder)])
    found = [
        each
        for world in worlds
        for each in measured(world, home.absolute() / world.name, draws=DRAWS)
    ]
    if medquad_folder is None:
        missing = "not measured: name its folder with --medquad"
        found.append(row("MedQuAD: gain of clicks", None, METRIC, against=missing))
    return found


def apidocs() -> World:
    """The docstrings of the installed packages, asked by their See Also lines: each query in twice
    the demo's sessions a week, and people see three pages of ten, the deeper the more seldom. On
    one page 15 % of the answers are never shown, and those teach most."""
    return World("apidocs", "apidocs", None, None, 17.0, 30)


def medquad(folder: Path) -> World:
    """Questions on health and the pages that answer them: one page of ten, the demo's sessions."""
    return World("MedQuAD", "beir", folder.absolute(), MEDQUAD_QUERIES, 8.5, 10)


def measured(world: World, home: Path, *, draws: int) -> list[Row]:
    """Teach both sides in the folder `home`, by the checkout's params; the rows of the world."""
    params_file = Path("params.yaml").absolute()
    taught = []
    for number in range(draws):
        folder = home / f"draw-{number}"
        own = drawn(params_file, folder / "params.yaml", number=number)
        taught.append(teach(world, folder, own, crowds=CROWDS))
        shutil.rmtree(folder)
    evaluate = load_params(params_file).evaluate
    first = pooled(taught, 0)
    found = [
        row(f"{world.name}: held-out queries of {draws} draws", float(len(first.of)), "queries"),
        row(f"{world.name}: first champion", float(first.champion.mean()), METRIC),
    ]
    for number in range(len(CROWDS)):
        found += _of_round(
            f"{world.name}, round {number + 1}",
            pooled(taught, number),
            is_last=number + 1 == len(CROWDS),
            samples=evaluate.bootstrap_samples,
            confidence=evaluate.confidence,
            seed=evaluate.seed,
        )
    return found


def _of_round(
    after: str, each: Pooled, *, is_last: bool, samples: int, confidence: float, seed: int
) -> list[Row]:
    share = share_of_gain(
        each.champion,
        each.clicks,
        each.labels,
        of=each.of,
        samples=samples,
        confidence=confidence,
        seed=seed,
    )
    bounds = "no interval" if share.low is None else f"{share.low:.3f} to {share.high:.3f}"
    by_draw = ", ".join(f"{one:.3f}" for one in each.shares)
    gain = float(np.mean(each.labels - each.champion))
    return [
        row(f"{after}: trained on true labels", float(each.labels.mean()), METRIC),
        row(f"{after}: trained on clicks alone", float(each.clicks.mean()), METRIC),
        row(
            f"{after}: gain of clicks",
            float(np.mean(each.clicks - each.champion)),
            METRIC,
            against=f"gain of true labels; {confidence:.0%} of the share: {bounds}; by draw: "
            f"{by_draw}",
            base=gain if gain > 0 else None,
            at_least=MUST if is_last else None,
            of_ratio=True,
        ),
        row(f"{after}: true answers shown so far", each.shown, "share"),
        row(f"{after}: training queries with a positive", each.covered, "share"),
        row(f"{after}: positives that are true answers", each.precision, "share"),
        row(f"{after}: true answers that are positives", each.recall, "share"),
    ]


if __name__ == "__main__":
    sys.exit(main())
