"""Where the heavy parts of stages and verbs are computed."""

from contextlib import AbstractContextManager

from perennial.compute.place import Compute, open_compute
from perennial.params.compute import Compute as ComputeParams
from perennial.workspace import ray_address


def computing(section: ComputeParams) -> AbstractContextManager[Compute]:
    """The place that params.compute and the environment name, for as long as the body runs."""
    return open_compute(
        backend=section.backend,
        address=ray_address(),
        cpus=section.cpus,
        ahead=section.ahead,
        patience_seconds=section.patience_seconds,
    )
