"""What a person sees in Prefect's UI: the decisions, the validation, the release and the links."""

import json
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from perennial.quality.decision import Decision
from perennial.workspace import Workspace


def show_decision(step: str, decision: Decision) -> None:
    """The outcome with its reasons, and the evidence as a table."""
    create_markdown_artifact(as_markdown(decision), key=f"{step}-decision", description=step)
    if decision.evidence:
        rows = decision.to_dict()["evidence"]
        create_table_artifact(rows, key=f"{step}-evidence", description=f"What {step} looked at")


def as_markdown(decision: Decision) -> str:
    """Outcome and reasons, as a heading and a list."""
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    return f"## {decision.outcome}\n\n{reasons}\n"


def show_validation(workspace: Workspace) -> None:
    """Rows, promises and broken promises per table, and where the page is."""
    found = [
        folder / "summary.json"
        for folder in (workspace.artifacts("validate"), workspace.work("validate"))
        if (folder / "summary.json").exists()
    ]
    if not found:
        return
    summary = json.loads(found[0].read_text())
    rows = [{"table": name, **counts} for name, counts in summary["tables"].items()]
    create_table_artifact(rows, key="validation", description="Promises per table")
    broken = "\n".join(f"- {item.get('sentence', item)}" for item in summary["broken"])
    if broken:
        create_markdown_artifact(f"## Broken promises\n\n{broken}\n", key="validation-broken")
    show_page("validation-page", workspace.work("validate") / "report.html", "Validation")


def show_release(release_id: str, about: dict[str, Any]) -> None:
    """The candidate as it was published and registered."""
    rows = [{"name": name, "value": value} for name, value in about.items()]
    create_table_artifact(rows, key="release", description=f"Release {release_id}")


def show_page(key: str, page: Path, text: str) -> None:
    """A link to a page on the machine that ran the flow."""
    if page.exists():
        create_link_artifact(page.resolve().as_uri(), link_text=text, key=key, description=text)
