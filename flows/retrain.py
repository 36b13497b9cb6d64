"""The retrain: from a snapshot of the world to a new champion, or to a refusal with its reasons."""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow

from perennial.errors import PerennialError
from perennial.quality.decision import Decision
from tasks.accept import accept
from tasks.canary import canary
from tasks.gate import forced_because, gate
from tasks.late import do_the_work_of_late_schedules
from tasks.mirror import mirror
from tasks.notify import notify_of_failure
from tasks.outcome import as_a_command, concluded, refusal
from tasks.owed import owe_push, push, push_owed
from tasks.register import register
from tasks.report import report
from tasks.review import review
from tasks.run import working_in
from tasks.shadow import shadow
from tasks.snapshot import snapshot
from tasks.stages import audit, evaluate, index, judge, mine, train, validate
from tasks.swap import carried_out, swap
from tasks.trigger import Trigger, show_trigger


@flow(
    name="retrain",
    description=__doc__,
    persist_result=False,
    on_running=[do_the_work_of_late_schedules],
    on_failure=[notify_of_failure],
    on_crashed=[notify_of_failure],
)
def retrain(
    params: Path = Path("params.yaml"),
    channel: str = "production",
    review_hours: float = 168.0,
    fresh: bool = False,
    force: bool = False,
    reason: str = "",
    trigger: Trigger = None,
) -> Decision:
    """The Decision that ended it: promote where the candidate now is the champion.

    A refusal is a normal end. Bad input, a stage that refuses and damaged bytes are failures; they
    leave the champion serving, and the same call continues where this one stopped, whatever was
    logged since; `fresh` starts anew from what is true now. With `force` and its `reason` the
    gate's refusal does not count; both are kept in the decision, the release and the channel.
    `trigger` says what outside of the schedule asked for this run.
    """
    why = forced_because(force, reason)
    show_trigger(trigger)
    workspace = snapshot(params, channel, fresh=fresh)
    with working_in(workspace, channel) as run:
        validate(run)
        accept(run)
        judge(run)
        mine(run)
        audit(run)
        train(run)
        index(run)
        evaluate(run)

        decision = gate(run, force=why)
        if decision.outcome == "promote":
            register(run, decision)
            decision = (
                carried_out(run, decision)
                or refusal(review(run, hours=review_hours))
                or refusal(shadow(run))
                or refusal(canary(run))
                or swap(run, decision)
            )
        mirror(run, decision)
        owe_push(run, now=datetime.now(UTC))
        report(run, decision)
        push(run)  # last: a bucket that is away leaves the report of what was swapped
    push_owed(run.places, channel)
    return concluded(decision)


def main(arguments: list[str] | None = None) -> int:
    """0 promoted, 1 refused or inconclusive, 2 bad input, 3 integrity."""
    parser = argparse.ArgumentParser(prog="python -m flows.retrain", description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--channel", default="production")
    parser.add_argument("--review-hours", type=float, default=168.0)
    parser.add_argument(
        "--fresh", action="store_true", help="leave a retrain that has not ended, and start anew"
    )
    parser.add_argument("--force", action="store_true", help="go on where the gate says no")
    parser.add_argument("--reason", default="", help="why; it is shown with the release forever")
    chosen = vars(parser.parse_args(arguments))
    try:
        with as_a_command():
            decision = retrain(**chosen)
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{decision.outcome}: " + "\n  ".join(decision.reasons))
    return 0 if decision.outcome == "promote" else 1


if __name__ == "__main__":
    sys.exit(main())
