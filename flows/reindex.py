"""The reindex: what changed in the catalogue comes into the index that serves, or nothing does."""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import sys
from pathlib import Path

from prefect import flow
from rich.console import Console

from perennial.errors import PerennialError
from perennial.quality.decision import Decision
from tasks.late import do_the_work_of_late_runs
from tasks.notify import notify_of_failure
from tasks.outcome import as_a_command, concluded
from tasks.reindex import reindex as bring_in
from tasks.reindexed import print_reindexed, show_reindexed
from tasks.trigger import Trigger, show_trigger

HOUR = 3600


@flow(
    name="reindex",
    description=__doc__,
    persist_result=False,
    timeout_seconds=4 * HOUR,
    on_running=[do_the_work_of_late_runs],
    on_failure=[notify_of_failure],
    on_crashed=[notify_of_failure],
)
def reindex(
    params: Path = Path("params.yaml"),
    channel: str = "production",
    catch_up: bool = False,
    accept_removals: bool = False,
    trigger: Trigger = None,
) -> Decision:
    """The Decision that ended it: promote, none where nothing changed, or a refusal.

    Bad input, a channel that others keep moving and damaged bytes are failures; they leave what is
    served as it was, and the same call starts again from the comparison. `trigger` says what
    outside of the schedule asked for this run.
    """
    show_trigger(trigger)
    result = bring_in(params, channel, catch_up=catch_up, accept_removals=accept_removals)
    show_reindexed(result)
    print_reindexed(result, Console())
    return concluded(result.decision)


def main(arguments: list[str] | None = None) -> int:
    """0 promoted or nothing to do, 1 refused or inconclusive, 2 bad input, 3 integrity."""
    parser = argparse.ArgumentParser(prog="python -m flows.reindex", description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--channel", default="production")
    parser.add_argument(
        "--catch-up", action="store_true", help="also on hold, after a rollback; the hold stays"
    )
    parser.add_argument(
        "--accept-removals",
        action="store_true",
        help="the catalogue is whole, however many documents it lost",
    )
    chosen = vars(parser.parse_args(arguments))
    try:
        with as_a_command():
            decision = reindex(**chosen)
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if decision.outcome in ("promote", "none") else 1


if __name__ == "__main__":
    sys.exit(main())
