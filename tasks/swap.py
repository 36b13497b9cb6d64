"""Makes the candidate the champion: one channel write."""

from datetime import UTC, datetime

from prefect.logging import get_run_logger

from perennial.errors import Refused
from perennial.quality.decision import Decision
from perennial.release.channels.moves import read_kept
from perennial.release.channels.served import served
from perennial.release.publishing.publish import read_checked_channel
from perennial.verbs.replace_champion import Replaced, replace_champion
from perennial.workspace import signing_key
from tasks.artifacts import show_decision
from tasks.releases import candidate_id
from tasks.review import approver
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step


def carried_out(run: Run, decision: Decision) -> Decision | None:
    """The decision where a killed run had already swapped: nothing is asked about it again."""
    key = signing_key()
    channel = read_checked_channel(run.store, run.channel, key=key)
    made = read_kept(run.store, candidate_id(run), key=key).lineage
    if channel is None or made == run.champion_lineage:
        return None
    return swap(run, decision) if served(run.store, channel, key=key).is_full(made) else None


@step("swap", retries=3)
def swap(run: Run, decision: Decision) -> Decision:
    """The decision, carried out; inconclusive where the channel moved on, is held or says no."""
    try:
        with rooms(run.workspace, "swap"):
            replaced = _replace(run, why=decision.reasons[0], who=_who(run))
    except Refused as error:
        decision = Decision("inconclusive", (f"Nothing was promoted: {error}.",), decision.evidence)
    else:
        if replaced.serving is None:
            decision = replaced.decision
        else:
            run.note("swap", "release", {"reviewed": candidate_id(run), "serves": replaced.serving})
            get_run_logger().info("%s now serves %s", run.channel, replaced.serving)
    run.note("swap", "decision", decision.to_dict())
    show_decision("swap", decision)
    return decision


def _who(run: Run) -> str:
    """The flow, and the person who approved; raises Refused where one must and none did."""
    if run.params.gate.review == "auto":
        return "flow retrain"
    reviewer = approver(run)
    if reviewer is None:
        raise Refused(
            "nobody approved this release with the gate's table as it is now; retrain again to "
            "have it reviewed"
        )
    return f"flow retrain, approved by {reviewer}"


def _replace(run: Run, *, why: str, who: str) -> Replaced:
    channel = read_checked_channel(run.store, run.channel, key=signing_key())
    if channel is not None and channel.candidate is not None:
        raise Refused(
            f"{run.channel} rolls out {channel.candidate.release_id}, and people decide about it"
        )
    return replace_champion(
        run.store,
        run.channel,
        candidate_id(run),
        champion=run.champion_id,
        champion_lineage=run.champion_lineage,
        source=run.places.source,
        cache=run.places.cache,
        params=run.params,
        now=datetime.now(UTC),
        why=why,
        who=who,
        key=signing_key(),
        say=get_run_logger().info,
    )
