"""After a time without a worker one run does the work of all that are late.

A reindex, a watch and a sweep begin by looking at what is true now: whatever a schedule asked for
before then, with the same parameters, is done by whichever of them runs first. So does a retrain,
unless it continues one that has not ended: then what an automation asked for stays.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger
from prefect.states import Cancelled

# Whoever found the deployment's slot taken is put off by half a minute.
_PUT_OFF = timedelta(seconds=45)
_PAGE = 200


def do_the_work_of_late_runs(flow: Any, flow_run: FlowRun, state: Any) -> None:
    """A hook of a flow that begins: cancels what waits and was asked for by a schedule, or by an
    automation; what a person or a webhook asked for stays."""
    _cancel(flow, flow_run, _is_of_a_machine, before=datetime.now(UTC))


def do_the_work_of_late_schedules(flow: Any, flow_run: FlowRun, state: Any) -> None:
    """The same, of a flow that does not know yet whether it looks at what is true now."""
    _cancel(flow, flow_run, _is_of_a_schedule, before=datetime.now(UTC))


def do_the_work_of_late_triggers(*, before: datetime) -> None:
    """The flow that runs has looked at what was true then: what automations had asked for by then
    is cancelled. Nothing happens outside of a deployment."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    try:
        _cancel(context.flow, context.flow_run, _is_of_an_automation, before=before)
    except httpx.HTTPError as error:  # they run later, and find less to do
        get_run_logger().warning("late runs were not cancelled: %s", error)


def _cancel(
    flow: Any, flow_run: FlowRun, is_meant: Callable[[FlowRun], bool], *, before: datetime
) -> None:
    if flow_run.deployment_id is None:
        return
    done, asked = 0, _asked(flow_run)
    filters = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(
            before_=datetime.now(UTC) + _PUT_OFF
        ),
    )
    chosen = DeploymentFilter(id=DeploymentFilterId(any_=[flow_run.deployment_id]))
    said = Cancelled(message=f"late; run {flow_run.name} began after it and does its work")
    with get_client(sync_client=True) as client:
        while True:
            page = client.read_flow_runs(
                flow_run_filter=filters, deployment_filter=chosen, limit=_PAGE
            )
            late = [
                each
                for each in page
                if is_meant(each) and _was_due(each, before) and _asked(each) == asked
            ]
            for each in late:
                client.set_flow_run_state(each.id, said)
            done += len(late)
            if len(page) < _PAGE or not late:
                break
    if done:
        flow_run_logger(flow_run, flow).info("%d runs were late; this one does their work", done)


def _asked(run: FlowRun) -> dict[str, Any]:
    """What it was asked to do; why is no part of that."""
    return {name: each for name, each in run.parameters.items() if name != "trigger"}


def _is_of_a_machine(run: FlowRun) -> bool:
    return _is_of_a_schedule(run) or _is_of_an_automation(run)


def _is_of_a_schedule(run: FlowRun) -> bool:
    return bool(run.auto_scheduled)


def _is_of_an_automation(run: FlowRun) -> bool:
    return run.created_by is not None and run.created_by.type == "AUTOMATION"


def _was_due(run: FlowRun, before: datetime) -> bool:
    """Whether it should have begun by then, or would have, had the slot been free."""
    if run.created is not None and run.created > before:
        return False
    is_put_off = run.state_name == "AwaitingConcurrencySlot"
    return is_put_off or (run.expected_start_time or before) <= before
