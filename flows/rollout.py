"""The rollout: from a release that was judged good to one that people proved good, step by step."""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import sys
import time
from pathlib import Path

from prefect import flow
from prefect.logging import get_run_logger

from perennial.errors import IntegrityError, PerennialError
from perennial.params.reading import load_params
from perennial.quality.decision import Decision
from tasks.dead import look_after_dead_runs
from tasks.notify import notify_of_failure
from tasks.outcome import as_a_command, concluded
from tasks.rollout import begun, tick
from tasks.trigger import Trigger, show_trigger

_GOES_ON = ("none", "advance")


@flow(
    name="rollout",
    description=__doc__,
    persist_result=False,
    on_running=[look_after_dead_runs],
    on_failure=[notify_of_failure],
    on_crashed=[notify_of_failure],
)
def rollout(
    params: Path = Path("params.yaml"),
    channel: str = "production",
    release: str | None = None,
    again: bool = False,
    wait: bool = False,
    poll_seconds: float = 60.0,
    trigger: Trigger = None,
) -> Decision:
    """One look at the channel's rollout: shadow, then the canary's steps, then the swap.

    It may be called any number of times, also at once: where the rollout stands is in the channel.
    With `release` it begins; with `wait` it looks every `poll_seconds` until the rollout ended,
    also where the store or the tracker is away meanwhile. `trigger` says what asked for this look.
    """
    show_trigger(trigger)
    if release is not None and (done := begun(params, channel, release, again=again)) is not None:
        return concluded(done)
    has_looked = False
    while True:
        load_params(params)  # not retried: a person must mend it
        try:
            decision = tick(params, channel).decision
        except (PerennialError, OSError) as error:
            # What was there may be away for a while; the service keeps the deadline without us.
            if not (wait and has_looked) or isinstance(error, IntegrityError):
                raise
            get_run_logger().warning("looking again: %s", error)
        else:
            has_looked = True
            over = decision.outcome not in _GOES_ON or decision.reasons[0].endswith("out nothing.")
            if over or not wait:
                return concluded(decision)
        time.sleep(poll_seconds)


def main(arguments: list[str] | None = None) -> int:
    """0 promoted or going on, 1 went back, 2 bad input, 3 integrity."""
    parser = argparse.ArgumentParser(prog="python -m flows.rollout", description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--channel", default="production")
    parser.add_argument("--release", help="begin with this release; default: look at what rolls")
    parser.add_argument("--again", action="store_true", help="also one that went back before")
    parser.add_argument("--wait", action="store_true", help="look again until the rollout ended")
    parser.add_argument("--poll-seconds", type=float, default=60.0)
    chosen = vars(parser.parse_args(arguments))
    try:
        with as_a_command():
            decision = rollout(**chosen)
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{decision.outcome}: " + "\n  ".join(decision.reasons))
    return 0 if decision.outcome in ("promote", *_GOES_ON) else 1


if __name__ == "__main__":
    sys.exit(main())
