"""Sends simulated people to both releases, as a rollout would, and judges them as one would.

The steps, their shares, tests and deadlines are those of a rollout; the clock is simulated, a batch
of people comes every day, and nothing of it touches the channel.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from prefect.logging import get_run_logger

from perennial.data.redaction import redact
from perennial.data.tables import read_table
from perennial.quality.decision import Decision
from perennial.quality.traffic import Stratum
from perennial.release.channels.channel import Baseline, Candidate
from perennial.release.rollouts.machine import begun, current, ticked
from perennial.simulation.public import Log, sessions_with_success, simulate_sessions
from perennial.simulation.searches import release_search, remembering
from perennial.verbs.rolling.look import judged
from perennial.verbs.rolling.steps import planned
from perennial.verbs.rolling.strata import strata_in
from perennial.verbs.simulate import habits
from perennial.verbs.source import append_log
from tasks.artifacts import show_decision
from tasks.canary_arms import arms_of
from tasks.releases import both_releases, candidate_id
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step
from tasks.tracking import log_metrics

_BATCHES = 15  # days that the people are spread over; the rollout is looked at after each


@step("canary")
def canary(run: Run) -> Decision:
    """advance, rollback or inconclusive, by the rule of perennial/quality/rollout.py.

    Where nobody can be simulated real people decide, by a rollout: inconclusive, and how; or
    nobody, where params say that no service could show it to them: advance.
    """
    decision = decided(run)
    run.note("canary", "decision", decision.to_dict())
    show_decision("canary", decision)
    return decision


def decided(run: Run) -> Decision:
    """The same, before anybody is told."""
    if not (run.places.source / "truth.parquet").exists():
        return _people_decide(run)
    with rooms(run.workspace, "canary"):
        decision, strata = _send_people(run)
    arms = arms_of(strata, decision, alpha=run.params.canary.alpha)
    log_metrics(run.places.tracking_uri, run.tracked, {"canary": arms})
    run.note("canary", "arms", arms)
    return decision


def _people_decide(run: Run) -> Decision:
    release_id = candidate_id(run)
    if run.params.canary.unserved == "swap":
        why = f"{release_id} is swapped in before anybody saw it, as canary.unserved asks."
        return Decision("advance", (why,), ())
    return Decision(
        "inconclusive",
        (
            f"{release_id} is published and not swapped in: only people can tell now, and none can "
            "be simulated, since the source has no truth.parquet.",
            "Show it to those who search, step by step: python -m flows.rollout "
            f"--channel {run.channel} --release {release_id} --wait",
            "Where no service serves this channel, canary.unserved: swap does without them.",
        ),
        (),
    )


def _send_people(run: Run) -> tuple[Decision, list[Stratum]]:
    """A batch a day until the rollout has ended, or everybody has come."""
    section, folder = run.params.canary, run.workspace.work("canary") / "log"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    stable, candidate = both_releases(run)
    searches = {
        "stable": remembering(release_search(stable)),
        "candidate": remembering(release_search(candidate)),
    }
    names = {"stable": stable.release_id, "candidate": candidate.release_id}

    def visit(arm: str, sessions: int, start: datetime, tag: str) -> Log:
        return simulate_sessions(
            searches[arm],
            truth,
            sessions=sessions,
            start=start,
            days=0.98,
            results=run.params.simulate.results,
            habits=habits(run.params.simulate),
            seed=_seed(section.seed, tag),
            tag=f"canary-{tag}",
            channel=run.channel,
            arm=arm,
            release_id=names[arm],
        )

    truth = read_table(run.places.source / "truth.parquet")
    truth["query"] = [redact(query)[0] for query in truth["query"]]  # as a snapshot has its labels
    now = datetime.fromisoformat(run.read("snapshot/snapshot.json")["window"]["end"])
    now = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    batch = max(section.sessions // _BATCHES, 1)
    before = visit("stable", batch, now, "before")
    happy, came = sessions_with_success(before, dwell_seconds=section.success_dwell_seconds)
    slow_ms = float(np.quantile(before.requests["latency_ms"], 0.95)) * section.slow_ratio
    usual = Baseline(min(max(happy / came, 0.001), 0.995), slow_ms)
    # Nobody needs to be hidden from: the retrain's shadow has asked both already.
    steps, now = planned(section)[1:], now + timedelta(days=1)
    state = begun(candidate.release_id, steps=steps, baseline=usual, salt="simulated", now=now)
    strata: list[Stratum] = []
    decision = Decision("inconclusive", ("Nobody came.",), ())
    for day in range(_BATCHES):
        ours = int(np.random.default_rng([section.seed, day]).binomial(batch, state.share))
        # Not before every service knows of a step that began with the last look.
        start = now + timedelta(seconds=section.settle_seconds)
        for arm, count in (("candidate", ours), ("stable", batch - ours)):
            if count:
                _append(folder, visit(arm, count, start, f"{day}{arm}"), f"{day}{arm}")
        now += timedelta(days=1, seconds=section.settle_seconds + section.session_seconds)
        now += timedelta(seconds=run.params.snapshot.click_window_seconds)
        decision, strata, after = _looked(run, state, folder, candidate.release_id, now)
        get_run_logger().info("simulated day %d: %s", day + 1, decision.reasons[0])
        if decision.outcome not in ("advance", "none"):
            break
        assert after is not None
        state = after
    else:
        reason = f"All {section.sessions} simulated sessions came, and it is not proven."
        hint = "Raise canary.sessions."
        decision = Decision("inconclusive", (reason, *decision.reasons, hint), decision.evidence)
    if decision.outcome == "promote":
        decision = Decision("advance", decision.reasons, decision.evidence)
    return decision, strata


def _looked(
    run: Run, state: Candidate, folder: Path, release_id: str, now: datetime
) -> tuple[Decision, list[Stratum], Candidate | None]:
    steps = planned(run.params.canary)[1:]
    strata = strata_in(folder, state, [release_id], run.params, channel=run.channel, now=now)
    found = judged(strata, state, run.params, margin=current(state, steps).margin)
    after = ticked(state, found, steps=steps, now=now)
    return after.decision, strata, after.candidate


def _append(folder: Path, log: Log, tag: str) -> None:
    tables = {"requests": log.requests, "impressions": log.impressions, "events": log.events}
    append_log(folder, tag, tables)


def _seed(seed: int, tag: str) -> int:
    """Another one for every batch and arm: nobody comes twice."""
    return int(np.random.default_rng([seed, *tag.encode()]).integers(2**31))
