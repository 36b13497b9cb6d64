"""Remembers the log that validate has just accepted; one that it refused never comes here."""

from prefect.logging import get_run_logger

from perennial.verbs.accept import accept_log
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step


@step("accept", retries=3)
def accept(run: Run) -> bool:
    """Whether it is the newest accepted log of the channel; a later one stays."""
    with rooms(run.workspace, "accept"):
        done = accept_log(run.workspace, run.store, run.channel)
    get_run_logger().info(done.sentence)
    return done.is_newest
