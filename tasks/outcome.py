"""How a flow is run by a person, and how it ends."""

import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from prefect import State
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed

from perennial.errors import PerennialError
from perennial.quality.decision import Decision


def refusal(answer: Decision) -> Decision | None:
    """The answer itself where it ends the flow, None where the flow goes on."""
    return None if answer.outcome == "advance" else answer


def concluded(decision: Decision) -> Decision:
    """A completed state named by the outcome; Prefect hands the decision in it to the caller."""
    name = "Unchanged" if decision.outcome == "none" else decision.outcome.capitalize()
    state: State[Decision] = Completed(name=name, message=decision.reasons[0], data=decision)
    return cast(Decision, state)


@contextmanager
def as_a_command() -> Iterator[None]:
    """For a flow that a person started: without what only a worker's flows need."""
    logger = logging.getLogger("prefect.flow_runs")
    logger.addFilter(_without_traceback)
    try:
        # Nobody listens for the heartbeat, and ending its thread takes a second.
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
    finally:
        logger.removeFilter(_without_traceback)
        _end_background()


def _without_traceback(record: logging.LogRecord) -> bool:
    """Always True. A failure that we raise on purpose says in its sentence what to do."""
    if record.exc_info and isinstance(record.exc_info[1], PerennialError):
        record.exc_info = record.exc_text = None
    return True


def _end_background() -> None:
    """Ends Prefect's background thread, as the end of the process would, but in time.

    It holds the context of the flow that started it, and so all that the flow imported, beyond the
    interpreter's own end: duckdb's types then say on stderr that they leaked.
    """
    with contextlib.suppress(ImportError):  # it is private, and this is for the eyes
        from prefect._internal.concurrency.threads import wait_for_global_loop_exit

        wait_for_global_loop_exit()
