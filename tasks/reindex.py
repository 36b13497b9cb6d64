"""Brings the catalogue into what a channel serves, and again where somebody else was first."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger

from perennial.errors import Conflict, PerennialError
from perennial.model.digest import file_digest
from perennial.params.reading import load_params
from perennial.release.channels.history import REINDEX
from perennial.release.stores.open import open_store
from perennial.verbs.reindexing.reindex import reindex as run_verb
from perennial.verbs.reindexing.result import Reindexed
from perennial.workspace import Places, signing_key
from tasks.workspace import code_commit
from tasks.world import in_words

RETRIES = 3


def can_pass(task: "Task[..., Any]", task_run: TaskRun, state: State[Any]) -> bool:
    """True where a retry, which compares anew, may end otherwise: a moved channel, a hiccup."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, Conflict) or not isinstance(error, PerennialError)


@task(
    name="reindex",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_delay_seconds=2.0,
    retry_condition_fn=can_pass,
)
def reindex(params: Path, channel: str, *, catch_up: bool, accept_removals: bool) -> Reindexed:
    """What came of it; every sentence on the way is logged."""
    places = Places.from_environment()
    with in_words(places.cache, places.tracking_uri):
        return run_verb(
            source=places.source,
            store=open_store(places.store),
            cache=places.cache,
            channel=channel,
            params=load_params(params),
            now=datetime.now(UTC),
            who=REINDEX,
            key=signing_key(),
            catch_up=catch_up,
            accept_removals=accept_removals,
            provenance={"git_commit": code_commit(), "params_digest": file_digest(params)},
            say=get_run_logger().info,
        )
