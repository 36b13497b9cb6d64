"""Runs whose process is gone are called dead, and a retrain that died is started again.

Whoever is killed says nothing any more: its run would be Running for ever, and what it had begun
would wait for next week. So the runs of infra/prefect.yaml beat every half minute, and every five
minutes the flow rollout, when it begins, looks for those that went silent, and for a retrain whose
last run is Crashed. An automation of Prefect could do the same, but misses what happens while its
server is started.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.filters import EventFilter, EventOccurredFilter, EventResourceFilter
from prefect.logging.loggers import flow_run_logger
from prefect.states import Crashed

from tasks.notify import notify_of_failure

DEPLOYMENTS = ["retrain", "reindex", "watch", "sweep", "rollout"]
SILENT = timedelta(minutes=5)
_AGAIN_SECONDS = 75.0  # more than two beats: a server that was away has heard nobody
_TRIES = 3  # runs that die one after the other; then a person must look
_FORGOTTEN = timedelta(days=1)  # who left it so long, meant it
_MANY = 50
Clock = Callable[[], datetime]


def look_after_dead_runs(flow: Any, flow_run: FlowRun, state: Any) -> None:
    """A hook of a flow that begins, in a deployment."""
    if flow_run.deployment_id is None:
        return
    say = flow_run_logger(flow_run, flow).warning
    with get_client(sync_client=True) as client:
        for run in silent_runs(client, but=flow_run, now=lambda: datetime.now(UTC)):
            said = Crashed(message=f"silent for {SILENT.total_seconds():.0f} s: it is gone")
            if client.read_flow_run(run.id).state_type != StateType.RUNNING:
                continue  # it ended meanwhile
            client.set_flow_run_state(run.id, said, force=True)
            notify_of_failure(client.read_flow(run.flow_id), run, said)
            say("%s is called dead: nothing was heard of it", run.name)
        again = retrain_to_continue(client, now=datetime.now(UTC))
        if again is not None and again.deployment_id is not None:
            reason = f"{again.name} died; this run continues it"
            trigger = {"source": "crash", "reason": reason, "key": str(again.id)}
            client.create_flow_run_from_deployment(
                again.deployment_id,
                parameters=_asked(again) | {"trigger": trigger},
                idempotency_key=f"continues-{again.id}",  # two that look start one
            )
            say("%s", reason)


def silent_runs(
    client: SyncPrefectClient,
    *,
    but: FlowRun,
    now: Clock,
    again_seconds: float = _AGAIN_SECONDS,
    silent: timedelta = SILENT,
) -> list[FlowRun]:
    """Running ones of which nothing was heard so long, asked twice."""
    since = now() - silent
    found = [
        run
        for run in _runs(client, DEPLOYMENTS, StateType.RUNNING)
        if run.id != but.id
        and (run.start_time or since) <= since
        and not _is_heard(client, run, since)
    ]
    if not found:
        return []
    time.sleep(again_seconds)
    left = {run.id for run in _runs(client, DEPLOYMENTS, StateType.RUNNING)}
    return [run for run in found if run.id in left and not _is_heard(client, run, since)]


def retrain_to_continue(client: SyncPrefectClient, *, now: datetime) -> FlowRun | None:
    """The newest retrain if it crashed within a day, and not for the third time; None where one is
    to come.

    One that was cancelled, failed or refused has its answer, and starts nothing; what never began,
    since another does its work, does not count.
    """
    runs = [
        run
        for run in _runs(client, ["retrain"])
        if not (_is_far(run, now) or (run.state_type == StateType.CANCELLED and not run.run_count))
    ]
    crashed = 0
    for run in runs:
        if run.state_type != StateType.CRASHED:
            break
        crashed += 1
    is_recent = bool(runs) and (runs[0].end_time or now) > now - _FORGOTTEN
    return runs[0] if 0 < crashed < _TRIES and is_recent else None


def _runs(client: SyncPrefectClient, names: list[str], *types: StateType) -> list[FlowRun]:
    """The latest first."""
    in_state = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types) or None))
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=in_state) if types else None,
        # A server may be shared: other teams' flows have other names, or lack our tag.
        deployment_filter=DeploymentFilter(
            name=DeploymentFilterName(any_=names), tags=DeploymentFilterTags(all_=["perennial"])
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=_MANY,
    )


def _is_far(run: FlowRun, now: datetime) -> bool:
    """Whether a schedule's run is still to come."""
    return run.state_type == StateType.SCHEDULED and (run.expected_start_time or now) > now


def _is_heard(client: SyncPrefectClient, run: FlowRun, since: datetime) -> bool:
    events = EventFilter(
        occurred=EventOccurredFilter(since=since),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
    )
    return bool(client.read_events(filter=events, limit=1).events)


def _asked(run: FlowRun) -> dict[str, Any]:
    """What it was asked for; `fresh` would leave what it is to continue."""
    return {name: each for name, each in run.parameters.items() if name != "fresh"}
