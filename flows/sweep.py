"""The sweep: what nothing needs any more goes, once a day."""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import sys
from pathlib import Path
from typing import Any

from prefect import flow

from perennial.errors import PerennialError
from tasks.late import do_the_work_of_late_runs
from tasks.notify import notify_of_failure
from tasks.outcome import as_a_command
from tasks.sweep import in_a_sentence, show_sweep
from tasks.sweep import sweep as sweep_the_store

HOUR = 3600


@flow(
    name="sweep",
    description=__doc__,
    persist_result=False,
    timeout_seconds=2 * HOUR,
    on_running=[do_the_work_of_late_runs],
    on_failure=[notify_of_failure],
    on_crashed=[notify_of_failure],
)
def sweep(params: Path = Path("params.yaml"), delete: bool = True) -> dict[str, Any]:
    """What went, as `perennial sweep --json` says it; without `delete` what would."""
    value = sweep_the_store(params, delete=delete)
    show_sweep(value)
    return value


def main(arguments: list[str] | None = None) -> int:
    """0 done, 1 refused, 2 bad input, 3 integrity."""
    parser = argparse.ArgumentParser(prog="python -m flows.sweep", description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument(
        "--plan", dest="delete", action="store_false", help="show what would go, delete nothing"
    )
    chosen = vars(parser.parse_args(arguments))
    try:
        with as_a_command():
            print(in_a_sentence(sweep(**chosen)))
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
