"""How a flow is run and how it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed

from perennial.quality.decision import Decision


def refusal(answer: Decision) -> Decision | None:
    """The answer itself where it ends the flow, None where the flow goes on."""
    return None if answer.outcome == "advance" else answer


def concluded(decision: Decision) -> Any:
    """A completed state named by the outcome; Prefect hands the decision in it to the caller."""
    return Completed(name=decision.outcome.capitalize(), message=decision.reasons[0], data=decision)


@contextmanager
def without_heartbeat() -> Iterator[None]:
    """For flows of this process: nobody listens, and ending the heartbeat takes a second."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
