"""Waits for a person's word on the candidate, where params.yaml asks for one."""

import time

from prefect.logging import get_run_logger

from perennial.quality.decision import Decision
from tasks.artifacts import show_decision
from tasks.registry import MODEL, REJECTED, answer_of_review
from tasks.run import Run
from tasks.step import step
from tasks.tracking import tracker
from tasks.world import TRACKER_ERRORS, without_password

POLL_SECONDS = 5.0


@step("review")
def review(run: Run, *, hours: float, poll_seconds: float = POLL_SECONDS) -> Decision:
    """advance once a person approved this gate's table, or at once where review is `auto`."""
    if run.params.gate.review == "auto":
        reason = "Nobody was asked: gate.review is auto, and the gate's answer stands for a review."
        decision = Decision("advance", (reason,), ())
    else:
        decision = _wait(run, hours, poll_seconds)
    run.note("review", "decision", decision.to_dict())
    show_decision("review", decision)
    return decision


def _wait(run: Run, hours: float, poll_seconds: float) -> Decision:
    log, client = get_run_logger(), tracker(run.places.tracking_uri)
    candidate = run.read("work/register/candidate.json")
    version, digest = str(candidate["version"]), str(candidate["gate"])
    log.info("waiting up to %g h for a review of %s version %s", hours, MODEL, version)
    deadline = time.monotonic() + hours * 3600
    while True:
        try:
            answer = answer_of_review(client, version, digest)
        except TRACKER_ERRORS as error:
            log.warning(
                "the tracker does not answer, asking again: %s", without_password(str(error))
            )
            answer = None
        if answer is True:
            return Decision(
                "advance", (f"A person approved version {version}, gate {digest[:19]}.",), ()
            )
        if answer is False:
            reason = (
                client.get_model_version(MODEL, version).tags.get(REJECTED) or "no reason given"
            )
            return Decision("reject", (f"A person rejected version {version}: {reason}.",), ())
        if time.monotonic() > deadline:
            return Decision(
                "inconclusive",
                (f"Nobody reviewed version {version} within {hours:g} hours; retrain again.",),
                (),
            )
        time.sleep(poll_seconds)
