"""Freezes the world into a workspace: the tables, and the bytes of the release that serves."""

import time
from datetime import UTC, datetime
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from perennial.params.reading import load_params
from perennial.release.channels.served import served
from perennial.release.publishing.publish import read_checked_channel
from perennial.release.stores.open import open_store
from perennial.verbs.snapshot import take_snapshot
from perennial.workspace import Places, Workspace, session_key, signing_key
from tasks.late import do_the_work_of_late_triggers
from tasks.seconds import add_rooms, add_wall
from tasks.unfinished import unfinished
from tasks.workspace import checkout, prepare_workspace, recipe
from tasks.world import in_words


@task(name="snapshot", cache_policy=NO_CACHE, persist_result=False)
def snapshot(params: Path, channel: str, *, fresh: bool) -> Workspace:
    """The workspace of a retrain that has not ended; without one, or `fresh`, of what is true now.

    Equal input finds the workspace that is there, and continues it too.
    """
    began, now = time.monotonic(), datetime.now(UTC)
    places, section = Places.from_environment(), load_params(params).snapshot
    frozen = 0.0

    def freeze(folder: Path) -> str:
        nonlocal frozen
        start = time.monotonic()
        info = take_snapshot(
            places.source,
            open_store(places.store),
            channel,
            folder,
            params=section,
            key=signing_key(),
            session_key=session_key(),
        )
        frozen = time.monotonic() - start
        if info.left_out:
            get_run_logger().warning(info.left_out)
        if info.made_anonymous:
            get_run_logger().info(info.made_anonymous)
        return info.digest

    with in_words(places.runs, places.tracking_uri):
        workspace = None if fresh else _begun(places, params, channel, now=now)
        if workspace is not None:
            said = f"continuing {workspace.root}, which has not ended; --fresh would start anew"
        else:
            workspace = prepare_workspace(places.runs, places.cache, params, freeze)
            do_the_work_of_late_triggers(before=now)
            said = f"the workspace is {workspace.root}"
        (workspace.work("snapshot") / "seconds.json").unlink(missing_ok=True)
        add_rooms(workspace, "snapshot", frozen)
        add_wall(workspace, "snapshot", time.monotonic() - began)
    get_run_logger().info(said)
    return workspace


def _begun(places: Places, params: Path, channel: str, *, now: datetime) -> Workspace | None:
    store, key = open_store(places.store), signing_key()
    found = read_checked_channel(store, channel, key=key)
    if found is None:
        return None
    serving = served(store, found, key=key)
    digest = recipe(checkout(), params)
    return unfinished(places.runs, found, serving, recipe_digest=digest, now=now)
