"""Writes the page of a retrain, and puts it and the numbers of the run where people look."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.logging import get_run_logger

from perennial.model.digest import file_digest
from perennial.quality.decision import Decision
from perennial.report.page import plots, render
from tasks.artifacts import show_page
from tasks.notes import write_note
from tasks.review_page import log_data_pages, write_review
from tasks.run import Run
from tasks.seconds import rooms, seconds_of
from tasks.step import step
from tasks.tracking import log_metrics, tracker
from tasks.view import gather, links


@step("report")
def report(run: Run, decision: Decision) -> Path:
    """The page's path; summary.json beside it is what later retrains show of this one."""
    now = datetime.now(UTC)
    page = run.workspace.work("report") / "report.html"
    with rooms(run.workspace, "report"):
        view = gather(run, decision, now=now, links=links(run))
        drawn = plots(view)
        write_note(page, render(view, drawn))
    client = tracker(run.places.tracking_uri)
    client.log_artifact(run.tracked, str(page))
    for name, svg in drawn.items():
        client.log_text(run.tracked, svg, f"plots/{name}.svg")
    if decision.outcome != "promote" and not _was_reviewed(run):
        # Too few labels are what a person can help with.
        write_review(run, decision, release_id=None)
    log_data_pages(run)
    for name in ("comparison.json", "metrics.json", "recall_by_k.csv", "gains.csv"):
        path = run.workspace.artifacts("evaluate") / name
        client.log_artifact(run.tracked, str(path), "evaluate")
    log_metrics(run.places.tracking_uri, run.tracked, {"seconds": seconds_of(run.workspace)})
    show_page("report", page, "The report of this retrain")
    run.note("report", "summary", _summary(run, decision, page, now))
    get_run_logger().info("the report is %s", page)
    return page


def _was_reviewed(run: Run) -> bool:
    """Whether this gate's table already has the page that register wrote for its release."""
    path = run.workspace.work("register") / "candidate.json"
    gate = file_digest(run.workspace.work("gate") / "decision.json")
    return path.exists() and run.read("work/register/candidate.json")["gate"] == gate


def _summary(run: Run, decision: Decision, page: Path, at: datetime) -> dict[str, Any]:
    comparison = run.read("artifacts/evaluate/comparison.json")
    return {
        "at": at.isoformat(timespec="seconds"),
        "workspace": run.workspace.root.name,
        "report": str(page),
        "mlflow_run_id": run.tracked,
        "decision": decision.to_dict(),
        "systems": comparison["systems"],
        "differences": comparison["differences"],
    }
