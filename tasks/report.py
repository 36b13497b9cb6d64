"""Writes the page of a retrain, and puts it and the numbers of the run where people look."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from prefect.logging import get_run_logger

from perennial.quality.decision import Decision
from perennial.report.page import render
from tasks.artifacts import show_page
from tasks.run import Run
from tasks.seconds import rooms, seconds_of
from tasks.step import step
from tasks.tracking import log_metrics, tracker
from tasks.view import gather

LATEST = "latest.json"


@step("report")
def report(run: Run, decision: Decision) -> Path:
    """The page's path; `latest.json` beside the workspaces says where the last run ended."""
    page = run.workspace.work("report") / "report.html"
    with rooms(run.workspace, "report"):
        view = gather(run, decision, now=datetime.now(UTC), links=where_to_look(run))
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(render(view), encoding="utf-8")
    client = tracker(run.places.tracking_uri)
    client.log_artifact(run.tracked, str(page))
    for validation in run.workspace.work("validate").glob("*.html"):
        client.log_artifact(run.tracked, str(validation), "validation")
    for name in ("comparison.json", "metrics.json", "recall_by_k.csv", "gains.csv"):
        path = run.workspace.artifacts("evaluate") / name
        client.log_artifact(run.tracked, str(path), "evaluate")
    log_metrics(run.places.tracking_uri, run.tracked, {"seconds": seconds_of(run.workspace)})
    show_page("report", page, "The report of this retrain")
    _remember(run, decision, page)
    get_run_logger().info("the report is %s", page)
    return page


def where_to_look(run: Run) -> list[tuple[str, str]]:
    """Name and command or place of everything else that there is to see."""
    uri, validation = run.places.tracking_uri, run.workspace.work("validate") / "report.html"
    ui = f"mlflow ui --backend-store-uri {uri}" if uri.startswith("sqlite:") else uri
    return [
        ("The run and the registry", ui),
        ("The validation", str(validation)),
        ("The workspace", str(run.workspace.root)),
        ("What production serves", "perennial status"),
    ]


def _remember(run: Run, decision: Decision, page: Path) -> None:
    about = {
        "format_version": 1,
        "workspace": str(run.workspace.root),
        "report": str(page),
        "mlflow_run_id": run.tracked,
        "decision": decision.to_dict(),
    }
    whole = run.places.runs / f".{LATEST}.{os.getpid()}"
    whole.write_text(json.dumps(about, indent=1) + "\n")
    whole.replace(run.places.runs / LATEST)
