"""The watch: is what people ask, click and search in still what it was, and what follows if not."""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import sys
from pathlib import Path

from prefect import flow
from rich.console import Console

from perennial.errors import PerennialError
from perennial.params.reading import load_params
from perennial.quality.decision import Decision
from perennial.workspace import Places
from tasks.late import do_the_work_of_late_runs
from tasks.notify import notify_of_failure
from tasks.outcome import as_a_command, concluded
from tasks.watch import look
from tasks.watched import print_watch, show_watch


@flow(
    name="watch",
    description=__doc__,
    persist_result=False,
    on_running=[do_the_work_of_late_runs],
    on_failure=[notify_of_failure],
    on_crashed=[notify_of_failure],
)
def watch(params: Path = Path("params.yaml"), channel: str = "production") -> Decision:
    """One look at the settled log: none, reindex, retrain or page, with its evidence.

    What follows is started by whoever listens to the event, not here: a watch that died between
    its verdict and its deed would have asked for nothing. A page is told to PERENNIAL_NOTIFY_URL.
    """
    found = look(params, channel)
    alpha = load_params(params).watch.alpha
    page = show_watch(found, Places.from_environment().home, alpha=alpha)
    print_watch(found, page, Console())
    return concluded(found.decision)


def main(arguments: list[str] | None = None) -> int:
    """0 nothing, or a reindex or retrain was asked for; 1 a page, 2 bad input, 3 integrity."""
    parser = argparse.ArgumentParser(prog="python -m flows.watch", description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--channel", default="production")
    chosen = vars(parser.parse_args(arguments))
    try:
        with as_a_command():
            decision = watch(**chosen)
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    return 1 if decision.outcome == "page" else 0


if __name__ == "__main__":
    sys.exit(main())
