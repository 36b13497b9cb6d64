"""Waits for a person's word on the candidate, where params.yaml asks for one."""

import time
from typing import Any

from prefect.logging import get_run_logger

from perennial.model.digest import file_digest
from perennial.quality.decision import Decision
from perennial.report.review_view import approval_of
from tasks.approval import Answer, answer_of_review, holds_for
from tasks.artifacts import show_decision
from tasks.bell import bell_of, heard, wait_for_ring
from tasks.registry import MODEL, REVIEWER
from tasks.run import Run
from tasks.step import step
from tasks.tracking import tracker
from tasks.world import TRACKER_ERRORS, without_password

POLL_SECONDS = 5.0
BELL = "review"  # rung by who hears of an answer sooner


@step("review")
def review(run: Run, *, hours: float, poll_seconds: float = POLL_SECONDS) -> Decision:
    """advance once a person approved this release and this gate's table, or at once where review is
    `auto`; reject or inconclusive otherwise."""
    if run.params.gate.review == "auto":
        reason = "Nobody was asked: gate.review is auto, and the gate's answer stands for a review."
        decision = Decision("advance", (reason,), ())
    else:
        decision = _wait(run, hours, poll_seconds)
    run.note("review", "decision", decision.to_dict())
    show_decision("review", decision)
    return decision


def approver(run: Run) -> str | None:
    """Who approved what is swapped now; None where nobody was asked, or it is another thing now."""
    path = run.workspace.work("review") / "approval.json"
    if run.params.gate.review == "auto" or not path.exists():
        return None
    kept, about = run.read("work/review/approval.json"), _about(run)
    if not holds_for(kept, release_id=about["release_id"], gate=about["gate"]):
        return None
    return str(kept["reviewer"])


def _wait(run: Run, hours: float, poll_seconds: float) -> Decision:
    log, client = get_run_logger(), tracker(run.places.tracking_uri)
    about, bell = _about(run), bell_of(run.places.home, BELL)
    version, release_id, gate = about["version"], about["release_id"], about["gate"]
    log.info("waiting up to %g h for a review of %s version %s", hours, MODEL, version)
    deadline = time.monotonic() + hours * 3600
    while True:
        last = heard(bell)  # before the look: what rings during it is not missed
        try:
            answer = answer_of_review(client, version, release_id=release_id, gate=gate)
        except TRACKER_ERRORS as error:
            log.warning(
                "the tracker does not answer, asking again: %s", without_password(str(error))
            )
            answer = None
        if answer is not None:
            return _answered(run, about, answer)
        if time.monotonic() > deadline:
            return Decision(
                "inconclusive",
                (f"Nobody reviewed version {version} within {hours:g} hours; retrain again.",),
                (),
            )
        wait_for_ring(bell, last, seconds=poll_seconds)


def _answered(run: Run, about: dict[str, Any], answer: Answer) -> Decision:
    version, name = about["version"], answer.reviewer
    if not answer.approved:
        return Decision("reject", (f"{name} rejected version {version}: {answer.reason}.",), ())
    run.note("review", "approval", {**about, "reviewer": name, "by": answer.by})
    tracker(run.places.tracking_uri).set_tag(run.tracked, REVIEWER, name)
    word = approval_of(about["release_id"], about["gate"])
    return Decision("advance", (f"{name} approved version {version}, {word}.",), ())


def _about(run: Run) -> dict[str, Any]:
    """What was registered, and the digest of the gate's table as it lies there now."""
    candidate = run.read("work/register/candidate.json")
    gate = file_digest(run.workspace.work("gate") / "decision.json")
    return {
        "release_id": str(candidate["release_id"]),
        "version": str(candidate["version"]),
        "gate": gate,
    }
