"""Sweeps the store once, and puts what went and what stays where people look."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from perennial.params.reading import load_params
from perennial.release.stores.open import open_store
from perennial.release.sweeping.sweep import plan_sweep
from perennial.release.sweeping.sweep import sweep as sweep_store
from perennial.verbs.kept import sweep_value
from perennial.verbs.progress import megabytes
from perennial.workspace import Places, signing_key
from tasks.step import can_pass
from tasks.world import in_words


@task(
    name="sweep",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=10.0,
    retry_condition_fn=can_pass,
)
def sweep(params: Path, *, delete: bool) -> dict[str, Any]:
    """What `perennial sweep --json` says; without `delete` it is a plan."""
    places, section = Places.from_environment(), load_params(params).sweep
    keep: dict[str, Any] = {
        "releases": section.releases,
        "lineages": section.lineages,
        "grace": timedelta(hours=section.grace_hours),
        "pending": timedelta(hours=section.pending_hours),
        "key": signing_key(),
    }
    with in_words(places.home, places.tracking_uri):
        store = open_store(places.store)
        if delete:
            plan = sweep_store(store, say=get_run_logger().warning, **keep)
        else:
            plan = plan_sweep(store, now=datetime.now(UTC), **keep)
    return sweep_value(plan, deleted=delete)


def in_a_sentence(value: dict[str, Any]) -> str:
    """What went, or would."""
    what = (
        f"{len(value['releases'])} releases, {value['objects']} objects "
        f"({megabytes(value['bytes'])}) and "
        f"{len(value['pending']) + len(value['debris'])} leftovers"
    )
    return f"{what} {'were deleted' if value['deleted'] else 'are needed by nothing'}."


def show_sweep(value: dict[str, Any]) -> None:
    """The sentence, and a row for each release: gone, or why it stays."""
    create_markdown_artifact(in_a_sentence(value), key="sweep", description="The store's sweep")
    gone = "deleted" if value["deleted"] else "not needed"
    rows = [{"release": each["release_id"], "what": gone} for each in value["releases"]]
    rows += [{"release": name, "what": f"stays: {why}"} for name, why in value["kept"].items()]
    if rows:
        create_table_artifact(rows, key="sweep-releases", description="Release by release")
