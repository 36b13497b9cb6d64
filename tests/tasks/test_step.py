"""What a step tries again: what can pass, and nothing else."""

import pytest
from prefect.states import Failed

from perennial.errors import BadInput, IntegrityError, PlaceUnusable, Refused
from tasks.repro import StageBroke
from tasks.step import can_pass
from tasks.world import TrackerAway


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Refused("on hold"), False),
        (BadInput("an empty log"), False),
        (IntegrityError("a flipped bit"), False),
        (StageBroke("killed by the kernel"), True),
        (TrackerAway("it restarts"), True),
        (PlaceUnusable("full"), False),
        (ConnectionError("the tracker is down"), True),
    ],
)
def test_only_failures_that_can_pass_are_tried_again(error, again):
    assert can_pass(None, None, Failed(data=error)) is again
