"""`make bench-train`: our training loop beside sentence-transformers' trainer, same texts, one run.

`--only speed caching` measures these parts and keeps the rows of the others from their last run;
`--quick` takes two steps of each and examines nothing, to see that it runs. On a machine with an
NVIDIA GPU both sides use it. SciFact and MedQuAD are examined where their folders are named.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from infra.bench import train_rows
from infra.bench.row import Row, show
from infra.bench.train_default import stage_seconds
from infra.bench.train_world import write_world
from perennial.params.reading import load_params

STEPS = 6
EXAM_DOCUMENTS = 3000


def main() -> int:
    """Measure, print the table, write train.json; 1 where a bound fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two steps of each")
    parser.add_argument("--only", nargs="+", metavar="PART", help="some parts, e.g. speed caching")
    parser.add_argument("--base", type=Path, help="an encoder's folder instead of all-MiniLM-L6-v2")
    parser.add_argument("--scifact", type=Path, help="its folder in BEIR's layout, if it is here")
    parser.add_argument("--medquad", type=Path, help="the same of MedQuAD")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="folder of the results")
    given = parser.parse_args()
    name, began = "train-quick" if given.quick else "train", time.monotonic()
    home = (given.out / f"{name}-home").absolute()
    parts = measures(
        home,
        given.base or train_rows.minilm(),
        scifact=given.scifact,
        medquad=given.medquad,
        is_quick=given.quick,
    )
    asked = given.only or list(parts)
    if unknown := sorted({*asked} - {*parts}):
        parser.error(f"there is no part {unknown[0]} here; there are {', '.join(parts)}")
    if not given.only:
        shutil.rmtree(home, ignore_errors=True)
    for part in asked:
        print(f"measuring {part}", file=sys.stderr, flush=True)
        found = []
        for each in parts[part]():
            print(f"  {each['row']}: {each['value']} {each['unit']}", file=sys.stderr, flush=True)
            found.append(each)
        (home / "rows").mkdir(parents=True, exist_ok=True)
        (home / "rows" / f"{part}.json").write_text(json.dumps(found))
    rows = [row for part in parts for row in _kept(home / "rows" / f"{part}.json")]
    if not given.only:
        shutil.rmtree(home)
    (given.out / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    show(rows, title=f"make bench-train, {time.monotonic() - began:.0f} s")
    return 1 if not given.quick and any(each["holds"] is False for each in rows) else 0


def measures(
    home: Path, base: Path, *, scifact: Path | None, medquad: Path | None, is_quick: bool
) -> dict[str, Callable[[], Iterable[Row]]]:
    """What can be measured here, by the name of the part, in the order of the table."""
    params = load_params(Path("params.yaml"))
    place, steps = home / "apidocs", 2 if is_quick else STEPS
    write = partial(write_world, params=params)

    def apidocs(rows: Callable[..., Iterable[Row]], **more: int) -> Callable[[], Iterable[Row]]:
        def measure() -> Iterable[Row]:
            if not (place / "exam.json").exists():
                write(place, most_documents=EXAM_DOCUMENTS)
            return rows(place, base, **more)

        return measure

    def public(folder: Path, **most: int) -> Callable[[], Iterable[Row]]:
        def measure() -> Iterable[Row]:
            place = home / folder.name
            if not (place / "exam.json").exists():
                write(place, folder=folder, **most)
            return train_rows.public_rows(place, base)

        return measure

    parts = {
        "speed": apidocs(train_rows.speed_rows, steps=steps),
        "caching": apidocs(train_rows.caching_rows, batch=128 if is_quick else 1024),
        "processes": apidocs(train_rows.process_rows, steps=steps),
    }
    if is_quick:
        return parts
    parts["apidocs"] = apidocs(train_rows.quality_rows)
    parts["default"] = lambda: train_rows.default_rows(stage_seconds(home / "default"))
    if scifact is not None:
        parts["scifact"] = public(scifact)
    if medquad is not None:
        # The whole of it would take a day on two cores.
        parts["medquad"] = public(
            medquad, most_triplets=1_000, most_queries=500, most_documents=4_000
        )
    return parts


def _kept(path: Path) -> list[Row]:
    return json.loads(path.read_text()) if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
