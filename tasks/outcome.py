"""What an answer means for the flow that asked."""

from prefect import State
from prefect.states import Completed

from perennial.quality.decision import Decision


def refusal(answer: Decision) -> Decision | None:
    """The answer itself where it ends the flow, None where the flow goes on."""
    return None if answer.outcome == "advance" else answer


def concluded(decision: Decision) -> State[Decision]:
    """A completed state that carries the decision, named by its outcome in Prefect's UI."""
    return Completed(name=decision.outcome.capitalize(), message=decision.reasons[0], data=decision)
