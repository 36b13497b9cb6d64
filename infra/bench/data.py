"""`make bench-data`: what it costs to turn a log into judgements and negatives, beside its peers.

Every side is measured in a process of its own, in one run. `--quick` runs all of it on little, to
see that it runs.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from infra.bench import data_judge, data_mine, data_snapshot, data_validate, teaching
from infra.bench.row import Row, show


def main() -> int:
    """Measure, print the table, write data.json; 1 where a bound fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of everything")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="folder of the results")
    parser.add_argument("--medquad", type=Path, help="its folder in BEIR's layout, if it is here")
    given = parser.parse_args()
    name, began = "data-quick" if given.quick else "data", time.monotonic()
    home = given.out / f"{name}-home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    scale = 100 if given.quick else 1
    rows: list[Row] = [
        *data_snapshot.rows(home / "snapshot", requests=2_000_000 // scale),
        *data_judge.rows(home / "judge", requests=2_000_000 // scale),
        *data_validate.rows(home / "validate", impressions=1_000_000 // scale),
        *data_mine.rows(home / "mine", queries=10_000 // scale, documents=100_000 // scale),
    ]
    if not given.quick:  # what is learned from a hundredth says nothing
        rows += teaching.rows(home / "teach", medquad_folder=given.medquad)
    shutil.rmtree(home)
    (given.out / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    show(rows, title=f"make bench-data, {time.monotonic() - began:.0f} s")
    missed = not given.quick and any(each["holds"] is False for each in rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
