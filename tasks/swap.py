"""Makes the candidate the champion: one channel write."""

from datetime import UTC, datetime

from prefect.logging import get_run_logger

from perennial.errors import Refused
from perennial.quality.decision import Decision
from perennial.release.publish import promote, read_checked_channel
from perennial.workspace import signing_key
from tasks.artifacts import show_decision
from tasks.releases import candidate_id
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step


@step("swap", retries=3)
def swap(run: Run, decision: Decision) -> Decision:
    """The decision, carried out; inconclusive where the channel moved on, is held or says no."""
    release_id = candidate_id(run)
    try:
        with rooms(run.workspace, "swap"):
            _promote(run, release_id, why=decision.reasons[0])
    except Refused as error:
        decision = Decision("inconclusive", (f"Nothing was promoted: {error}.",), decision.evidence)
    else:
        get_run_logger().info("%s now serves %s", run.channel, release_id)
    run.note("swap", "decision", decision.to_dict())
    show_decision("swap", decision)
    return decision


def _promote(run: Run, release_id: str, *, why: str) -> None:
    current = read_checked_channel(run.store, run.channel, key=signing_key())
    if current is not None and current.stable not in {run.champion_id, release_id}:
        raise Refused(
            f"the candidate was compared with {run.champion_id}, but {run.channel} serves "
            f"{current.stable} since; retrain again to compare it with that"
        )
    promote(
        run.store,
        run.channel,
        release_id,
        now=datetime.now(UTC),
        why=why,
        who="flow retrain",
        key=signing_key(),
    )
