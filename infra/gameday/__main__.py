"""`make gameday`: breaks a running system in ten ways; what it noticed, how soon, what was lost.

It starts a system of its own (as `make up` does) in the folder `gameday`, on ports of its own
(PERENNIAL_PORTS, 11000 where that is not set), with a simulated month of people and some who search
all day long. `--only search_dies store_hangs` breaks it in some of the ways.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from infra.gameday.company import settle
from infra.gameday.deaths import (
    database_dies,
    orchestrator_dies,
    retrain_dies,
    search_dies,
    store_hangs,
)
from infra.gameday.harms import (
    half_a_catalogue,
    logger_breaks,
    object_is_damaged,
    release_is_bad,
    strangers_call,
)
from infra.gameday.people import Asked, asking
from infra.gameday.seen import Seen, show
from infra.gameday.town import Town
from infra.up.__main__ import SHIFT, shift_of
from infra.up.ports import Ports, refuse_taken
from perennial.errors import BadInput, PerennialError

_MARK = ".gameday"
BREAKS: tuple[Callable[[Town, Asked], Seen], ...] = (
    search_dies,
    store_hangs,
    database_dies,
    object_is_damaged,
    half_a_catalogue,
    strangers_call,
    logger_breaks,
    orchestrator_dies,
    retrain_dies,
    release_is_bad,
)


def main() -> int:
    """0 where all was noticed and nothing lost, 1 where not; else as errors.py says."""
    parser = argparse.ArgumentParser(prog="python -m infra.gameday", description=__doc__)
    names = [each.__name__ for each in BREAKS]
    parser.add_argument("--only", nargs="+", metavar="BREAK", choices=names, help=", ".join(names))
    parser.add_argument("--out", type=Path, default=Path("gameday"), help="its folder")
    given = parser.parse_args()
    chosen = [each for each in BREAKS if not given.only or each.__name__ in given.only]
    folder, began = given.out.absolute(), time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {line}", file=sys.stderr, flush=True)

    found: list[Seen] = []
    try:
        shift = shift_of(os.environ.get(SHIFT, "11000"))
        refuse_taken(Ports.shifted(shift).names())  # or the folder is of one that goes on now
        if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
            raise BadInput(f"{folder} is not the folder of a game day; name another one by --out")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / _MARK).touch()
        folder.chmod(0o711)  # PostgreSQL may run as a user of its own
        town = Town(folder, shift=shift)
        try:
            town.start(say=say)
            queries = settle(town, say=say)
            with asking(town, queries) as asked:
                for each in chosen:
                    say(f"{each.__name__}: {(each.__doc__ or '').splitlines()[0]}")
                    found.append(each(town, asked))
        finally:
            if town.runs():
                town.stop()
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if found:
            show(found, Console(width=None if sys.stdout.isatty() else 180))
            told = json.dumps([each.to_dict() for each in found], indent=1) + "\n"
            (folder / "gameday.json").write_text(told, encoding="utf-8")
    return 0 if all(each.holds for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
