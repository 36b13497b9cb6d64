"""What runs owe DVC's remote, from before their report until all of them is there."""

from datetime import datetime

from prefect.logging import get_run_logger

from perennial.errors import PerennialError
from perennial.release.manifests.canonical import utc_text
from perennial.workspace import Workspace
from tasks.notes import write_json
from tasks.remote import push_run
from tasks.run import Run
from tasks.step import step
from tasks.workspace import alone_in


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
    is done, where it is not set. What earlier runs still owe goes there too, if it can."""
    if run.places.remote is None:
        return False
    push_run(run.workspace, run.places.remote, say=get_run_logger().info)
    run.workspace.owed.unlink(missing_ok=True)
    for owed in sorted(run.places.runs.glob("[!.]*/work/push/owed.json")):
        _push_other(Workspace(owed.parents[2]), run.places.remote)
    return True


def _push_other(workspace: Workspace, address: str) -> None:
    """One that is under way, or not whole, stays owed: it must not spoil the end of this run."""
    if not workspace.is_concluded:
        return
    log = get_run_logger()
    try:
        with alone_in(workspace):
            if not workspace.forgotten.exists():
                push_run(workspace, address, say=log.info)
            workspace.owed.unlink(missing_ok=True)
    except (PerennialError, OSError) as error:
        log.warning("run %s still owes its push: %s", workspace.root.name, error)
