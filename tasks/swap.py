"""Makes the candidate the champion: one channel write, which MLflow's aliases then mirror."""

from datetime import UTC, datetime

from prefect.logging import get_run_logger

from perennial.cli import signing_key
from perennial.quality.decision import Decision
from perennial.release.publish import promote, read_checked_channel
from tasks.artifacts import show_decision
from tasks.registry import mirror, tag, version_of
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step
from tasks.tracking import tracker


@step("swap", retries=3)
def swap(run: Run, decision: Decision) -> Decision:
    """The decision, carried out; inconclusive where the champion changed since the snapshot."""
    release_id = str(run.read("work/register/candidate.json")["release_id"])
    with rooms(run.workspace, "swap"):
        current = read_checked_channel(run.store, run.channel, key=signing_key())
        stable = current.stable if current else None
        if stable in {run.champion_id, release_id}:
            promote(
                run.store,
                run.channel,
                release_id,
                now=datetime.now(UTC),
                why=decision.reasons[0],
                who="flow retrain",
                key=signing_key(),
            )
    if stable not in {run.champion_id, release_id}:
        reason = (
            f"The candidate was compared with {run.champion_id}, but {run.channel} now serves "
            f"{stable}: retrain again to compare it with that."
        )
        changed = Decision("inconclusive", (reason,), decision.evidence)
        show_decision("swap", changed)
        return changed
    get_run_logger().info("%s now serves %s", run.channel, release_id)
    return decision


def reconcile(run: Run, decision: Decision) -> None:
    """MLflow's aliases as the channel is, and the candidate's version tagged with the outcome."""
    client = tracker(run.places.tracking_uri)
    channel = read_checked_channel(run.store, run.channel, key=signing_key())
    if channel is None:
        return
    rolling_out = channel.candidate.release_id if channel.candidate else None
    mirror(client, champion=channel.stable, candidate=rolling_out)
    path = run.workspace.work("register") / "candidate.json"
    if path.exists():
        version = version_of(client, str(run.read("work/register/candidate.json")["release_id"]))
        if version is not None:
            tag(client, str(version.version), {"decision": decision.outcome})
