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


def carried_out(run: Run, decision: Decision) -> Decision | None:
    """The decision where a killed run had already swapped: nothing is asked about it again."""
    current = read_checked_channel(run.store, run.channel, key=signing_key())
    swapped = current is not None and current.stable == candidate_id(run)
    return swap(run, decision) if swapped else None


@step("swap", retries=3)
def swap(run: Run, decision: Decision) -> Decision:
    """The decision, carried out; inconclusive where the channel moved on, is held or says no."""
    release_id = candidate_id(run)
    try:
        with rooms(run.workspace, "swap"):
            promote(
                run.store,
                run.channel,
                release_id,
                expected_stable=run.champion_id,
                now=datetime.now(UTC),
                why=decision.reasons[0],
                who="flow retrain",
                key=signing_key(),
            )
    except Refused as error:
        decision = Decision("inconclusive", (f"Nothing was promoted: {error}.",), decision.evidence)
    else:
        get_run_logger().info("%s now serves %s", run.channel, release_id)
    run.note("swap", "decision", decision.to_dict())
    show_decision("swap", decision)
    return decision
