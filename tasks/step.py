"""A step of a flow: a Prefect task that measures itself and tries again only what can pass."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from perennial.errors import PerennialError
from tasks.repro import StageBroke
from tasks.run import Run
from tasks.seconds import wall
from tasks.world import TrackerAway, in_words

P = ParamSpec("P")
R = TypeVar("R")


def step(
    name: str, *, retries: int = 1, retry_delay_seconds: float = 2.0
) -> Callable[[Callable[Concatenate[Run, P], R]], "Task[Concatenate[Run, P], R]"]:
    """Makes a function of a Run into a task. Prefect caches nothing: DVC is the only cache."""

    def decorate(
        function: Callable[Concatenate[Run, P], R],
    ) -> "Task[Concatenate[Run, P], R]":
        @wraps(function)
        def measured(run: Run, *args: P.args, **kwargs: P.kwargs) -> R:
            with (
                in_words(run.workspace.root, run.places.tracking_uri),
                wall(run.workspace, name),
            ):
                return function(run, *args, **kwargs)

        return task(
            name=name,
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=retries,
            retry_delay_seconds=retry_delay_seconds,
            retry_condition_fn=can_pass,
        )(measured)

    return decorate


def can_pass(task: "Task[..., Any]", task_run: TaskRun, state: State[Any]) -> bool:
    """False for what trying again cannot change: a refusal, bad input, bytes that are not whole."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageBroke | TrackerAway) or not isinstance(error, PerennialError)
