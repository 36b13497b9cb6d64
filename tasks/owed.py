"""What runs owe DVC's remote, from before their report until all of them is there."""

from collections.abc import Callable
from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from perennial.release.manifests.canonical import utc_text
from perennial.workspace import Places, Workspace
from tasks.notes import write_json
from tasks.remote import push_run
from tasks.run import Run
from tasks.step import step
from tasks.unfinished import channel_of
from tasks.workspace import alone_in
from tasks.world import without_password


def owe_push(run: Run, *, now: datetime) -> None:
    """Before the report, which would end the run: whoever dies in between is continued."""
    owed = run.workspace.owed
    if run.places.remote is None:
        owed.unlink(missing_ok=True)  # nobody can be owed it any more
    elif not owed.exists():
        write_json(owed, {"format_version": 1, "since": utc_text(now)})


@step("push", retries=3, retry_delay_seconds=10.0)
def push(run: Run) -> bool:
    """Whether the run's outs, snapshot and code are in PERENNIAL_DVC_REMOTE now; False, and nothing
    is done, where it is not set."""
    if run.places.remote is None:
        return False
    push_run(run.workspace, run.places.remote, say=get_run_logger().info)
    run.workspace.owed.unlink(missing_ok=True)
    return True


@task(name="push what is owed", cache_policy=NO_CACHE, persist_result=False)
def push_owed(places: Places, channel: str) -> None:
    """What earlier runs of the channel still owe, each once, now that the remote was there.

    One that fails, or is under way, stays owed and is told: this run has ended well.
    """
    if places.remote is None:
        return
    log = get_run_logger()
    for owed in sorted(places.runs.glob("[!.]*/work/push/owed.json")):
        workspace = Workspace(owed.parents[2])
        try:
            if channel_of(workspace) == channel:
                _push_other(workspace, places.remote, say=log.info)
        except Exception as error:  # noqa: BLE001  whatever is wrong with it is none of this run's
            log.warning(
                "run %s still owes its push (%s); where it never can, `rm -r %s` ends that",
                workspace.root.name, without_password(str(error)), workspace.root,
            )  # fmt: skip


def _push_other(workspace: Workspace, address: str, *, say: Callable[[str], None]) -> None:
    with alone_in(workspace):
        if not workspace.forgotten.exists():
            push_run(workspace, address, say=say)
        workspace.owed.unlink(missing_ok=True)
