"""The deployments of a Prefect server: how busy they are, and a run started with its trigger."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from tasks.receiving.decide import StarterAway

_GOING_ON = [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
_TIMEOUT_SECONDS = 10.0
# One that waits for another of its deployment is put off by half a minute again and again.
_SOON = timedelta(seconds=45)


class PrefectStarter:
    """Flow and deployment have the same name, as infra/prefect.yaml gives them."""

    def busy(self, deployment: str) -> tuple[int, int]:
        """How many of its runs go on, and how many are due; what a schedule holds is not."""
        with _client() as client:
            chosen = DeploymentFilter(id=DeploymentFilterId(any_=[_id(client, deployment)]))
            going_on = _runs(client, chosen, state=_in(_GOING_ON))
            soon = FlowRunFilterNextScheduledStartTime(before_=datetime.now(UTC) + _SOON)
            due = _runs(
                client, chosen, state=_in([StateType.SCHEDULED]), next_scheduled_start_time=soon
            )
            return len(going_on), len(due)

    def start(self, deployment: str, trigger: Mapping[str, Any], key: str) -> str:
        """The id of the run."""
        with _client() as client:
            run = client.create_flow_run_from_deployment(
                _id(client, deployment),
                parameters={"trigger": dict(trigger)},
                tags=["triggered"],
                idempotency_key=key,
            )
            return str(run.id)


def _in(types: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=types))


def _runs(client: SyncPrefectClient, chosen: DeploymentFilter, **filters: Any) -> list[FlowRun]:
    return client.read_flow_runs(
        deployment_filter=chosen, flow_run_filter=FlowRunFilter(**filters), limit=2
    )


def _id(client: SyncPrefectClient, deployment: str) -> Any:
    try:
        return client.read_deployment_by_name(f"{deployment}/{deployment}").id
    except ObjectNotFound:
        raise StarterAway(
            f"Prefect has no deployment {deployment}; deploy it: "
            "prefect deploy --all --prefect-file infra/prefect.yaml"
        ) from None


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    """A client for one decision, which does not wait long: the sender comes again."""
    try:
        with get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT_SECONDS}) as client:
            yield client
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        raise StarterAway(
            f"Prefect does not answer as it should ({type(error).__name__}); send it again later"
        ) from None
