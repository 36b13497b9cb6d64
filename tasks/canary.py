"""Sends simulated people to both releases, half to each, and compares how many find something."""

from datetime import datetime

from perennial.data.tables import read_table
from perennial.quality.canary import ARMS, Canary, compare_arms, judge_canary
from perennial.quality.decision import Decision
from perennial.simulation.public import session_success, simulate_sessions
from perennial.simulation.searches import release_search
from perennial.verbs.simulate import habits
from tasks.artifacts import show_decision
from tasks.releases import both_releases
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step
from tasks.tracking import log_metrics


@step("canary")
def canary(run: Run) -> Decision:
    """advance, rollback or inconclusive, by the rule of perennial/quality/canary.py."""
    truth = run.places.source / "truth.parquet"
    if truth.exists():
        with rooms(run.workspace, "canary"):
            found = _send_people(run)
            decision = judge_canary(found)
        log_metrics(run.places.tracking_uri, run.tracked, {"canary": found.to_dict()})
        run.note("canary", "arms", found.to_dict())
    else:
        reason = f"No canary ran: {truth} is missing, and with it everybody who could be simulated."
        decision = Decision("advance", (reason,), ())
    run.note("canary", "decision", decision.to_dict())
    show_decision("canary", decision)
    return decision


def _send_people(run: Run) -> Canary:
    """The same people with the same wishes come to both arms, and are compared one by one."""
    section = run.params.canary
    truth = read_table(run.places.source / "truth.parquet")
    after = datetime.fromisoformat(run.read("snapshot/snapshot.json")["window"]["end"])
    success = {}
    for arm, release in zip(ARMS, both_releases(run), strict=True):
        log = simulate_sessions(
            release_search(release),
            truth,
            sessions=section.sessions // 2,
            start=after,
            days=1.0,
            results=run.params.simulate.results,
            habits=habits(run.params.simulate),
            seed=section.seed,
            tag=f"canary-{arm}",
            channel=run.channel,
            arm=arm,
            release_id=release.release_id,
        )
        success[arm] = session_success(log)
    return compare_arms(
        success["stable"],
        success["candidate"],
        max_loss=section.max_loss,
        samples=run.params.evaluate.bootstrap_samples,
        confidence=section.confidence,
        seed=section.seed,
    )
