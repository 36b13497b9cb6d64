"""Makes the candidate the champion: one channel write."""

from datetime import UTC, datetime

from prefect.logging import get_run_logger

from perennial.errors import Refused
from perennial.quality.decision import Decision
from perennial.release.channel import Channel
from perennial.release.moves import read_kept
from perennial.release.publish import promote, read_checked_channel
from perennial.verbs.reindex_release import bring_up_to_date
from perennial.workspace import signing_key
from tasks.artifacts import show_decision
from tasks.releases import candidate_id
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step


def carried_out(run: Run, decision: Decision) -> Decision | None:
    """The decision where a killed run had already swapped: nothing is asked about it again."""
    current = read_checked_channel(run.store, run.channel, key=signing_key())
    return swap(run, decision) if current is not None and _serves_candidate(run, current) else None


@step("swap", retries=3)
def swap(run: Run, decision: Decision) -> Decision:
    """The decision, carried out; inconclusive where the channel moved on, is held or says no."""
    try:
        with rooms(run.workspace, "swap"):
            release_id = _promote(run, why=decision.reasons[0])
    except Refused as error:
        decision = Decision("inconclusive", (f"Nothing was promoted: {error}.",), decision.evidence)
    else:
        get_run_logger().info("%s now serves %s", run.channel, release_id)
    run.note("swap", "decision", decision.to_dict())
    show_decision("swap", decision)
    return decision


def _promote(run: Run, *, why: str) -> str:
    """The release that serves: the candidate, with what was reindexed while it was made."""
    key, now = signing_key(), datetime.now(UTC)
    current = read_checked_channel(run.store, run.channel, key=key)
    if current is not None and _serves_candidate(run, current):
        return current.stable
    release_id, compared_with = candidate_id(run), run.champion_id
    if current is not None and current.stable != compared_with and _continues(run, current):
        compared_with = current.stable
        release_id = bring_up_to_date(
            release_id,
            source=run.places.source,
            store=run.store,
            cache=run.places.cache,
            params=run.params,
            now=now,
            key=key,
            say=get_run_logger().info,
        )
    promote(
        run.store,
        run.channel,
        release_id,
        expected_stable=compared_with,
        now=now,
        why=why,
        who="flow retrain",
        key=key,
    )
    return release_id


def _serves_candidate(run: Run, current: Channel) -> bool:
    """True where the candidate serves, or what a reindex made of it since."""
    if current.stable == candidate_id(run):
        return True
    made = read_kept(run.store, candidate_id(run), key=signing_key()).lineage
    return made != _champion_lineage(run) and made == _stable_lineage(run, current)


def _continues(run: Run, current: Channel) -> bool:
    """True where stable has the champion's encoder: it was reindexed, and not replaced."""
    return _stable_lineage(run, current) == _champion_lineage(run)


def _stable_lineage(run: Run, current: Channel) -> str:
    return read_kept(run.store, current.stable, key=signing_key()).lineage


def _champion_lineage(run: Run) -> str:
    return str(run.read("snapshot/champion/manifest.json")["lineage"])
