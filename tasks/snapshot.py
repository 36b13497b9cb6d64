"""Freezes the world into a workspace: the tables, and the bytes of the release that serves."""

import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from perennial.params import load_params
from perennial.release.local import LocalStore
from perennial.verbs.snapshot import take_snapshot
from perennial.workspace import Places, Workspace, signing_key
from tasks.seconds import add_rooms, add_wall
from tasks.workspace import prepare_workspace
from tasks.world import in_words


@task(name="snapshot", cache_policy=NO_CACHE, persist_result=False)
def snapshot(params: Path, channel: str) -> Workspace:
    """The workspace of what is true now; equal input finds the one that is there, and continues."""
    began = time.monotonic()
    places, section = Places.from_environment(), load_params(params)
    frozen = 0.0

    def freeze(folder: Path) -> str:
        nonlocal frozen
        start = time.monotonic()
        info = take_snapshot(
            places.source,
            LocalStore(places.store),
            channel,
            folder,
            window_days=section.snapshot.window_days,
            click_window_seconds=section.snapshot.click_window_seconds,
            max_unknown_share=section.snapshot.max_unknown_share,
            key=signing_key(),
        )
        frozen = time.monotonic() - start
        if info.left_out:
            get_run_logger().warning(info.left_out)
        return info.digest

    workspace = prepare_workspace(places.runs, places.cache, params, freeze)
    with in_words(workspace.root, places.tracking_uri):
        (workspace.work("snapshot") / "seconds.json").unlink(missing_ok=True)
        add_rooms(workspace, "snapshot", frozen)
        add_wall(workspace, "snapshot", time.monotonic() - began)
    get_run_logger().info("the workspace is %s", workspace.root)
    return workspace
