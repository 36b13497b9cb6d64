"""Gathers what a retrain left in its workspace into the view that the page shows."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from perennial.quality.decision import Decision
from perennial.report.view import ReportView
from tasks.examples import gained_and_lost, titles
from tasks.provenance import provenance
from tasks.releases import serving_id
from tasks.run import Run
from tasks.seconds import seconds_of
from tasks.shadow_table import groups
from tasks.tracking import where_to_look

MOST_ROUNDS = 12


def gather(
    run: Run, decision: Decision, *, now: datetime, links: list[tuple[str, str]]
) -> ReportView:
    """The view of this run; what an early refusal kept from happening is left out."""
    artifacts, seconds = run.workspace.artifacts("evaluate"), seconds_of(run.workspace)
    title_of = titles(run.workspace)
    best, worst = gained_and_lost(
        run.workspace, metric=run.params.gate.metric, examples=run.params.report.examples
    )
    candidate = _note(run, "register", "candidate")
    return ReportView(
        title="Retrain report",
        created_at=now,
        run_id=run.workspace.root.name,
        decision=decision.to_dict(),
        comparison=run.read("artifacts/evaluate/comparison.json"),
        simulated=(run.places.source / "truth.parquet").exists(),
        curve=_rows(run.workspace.artifacts("train") / "curve.csv"),
        recall_by_k=_rows(artifacts / "recall_by_k.csv"),
        gains=pd.read_csv(artifacts / "gains.csv")["gain"].tolist(),
        best=best,
        worst=worst,
        shadow=_shadow(run, title_of),
        canary=_with_decision(run, "canary", _note(run, "canary", "arms")),
        validate=run.read("artifacts/validate/summary.json"),
        data=data(run),
        rounds=rounds_so_far(run),
        releases={
            "champion": run.champion_id,
            **({"candidate": candidate["release_id"]} if candidate else {}),
            **({"serves": serving} if (serving := serving_id(run)) else {}),
        },
        lineage={**provenance(run), "parent": run.champion_id},
        seconds={step: spent["wall"] for step, spent in seconds.items()},
        rooms_seconds={step: spent["rooms"] for step, spent in seconds.items()},
        links=links,
    )


def links(run: Run) -> list[tuple[str, str]]:
    """Name and command or place of everything else that there is to see."""
    validation = run.workspace.work("validate") / "report.html"
    return [
        ("The run and the registry", where_to_look(run.places.tracking_uri)),
        ("The validation", str(validation)),
        ("The audit of the triplets", str(run.workspace.work("audit") / "report.html")),
        ("The workspace", str(run.workspace.root)),
        ("What production serves", "perennial status"),
    ]


def data(run: Run) -> dict[str, Any]:
    """What the stages told of the log and the triplets; a file that is not there is left out."""
    files = {
        "profile": "validate/profile.json",
        "judge": "judge/summary.json",
        "propensities": "judge/propensities.csv",
        "mined": "mine/audit.json",
        "audited": "audit/summary.json",
    }
    found = {
        name: _rows(path) if path.suffix == ".csv" else json.loads(path.read_text())
        for name, file in files.items()
        if (path := run.workspace.root / "artifacts" / file).exists()
    }
    frozen = {name: run.read(f"snapshot/{name}.json") for name in ("snapshot", "accepted")}
    return frozen | found


def rounds_so_far(run: Run) -> list[dict[str, Any]]:
    """{system: {metric: bounds}} of every retrain of this home that ended, then of this one."""
    earlier = [
        item for item in ended(run.places.runs) if item["workspace"] != run.workspace.root.name
    ]
    systems = run.read("artifacts/evaluate/comparison.json")["systems"]
    return [*(item["systems"] for item in earlier), systems][-MOST_ROUNDS:]


def ended(runs: Path) -> list[dict[str, Any]]:
    """What every retrain below `runs` left as its summary, in the order in which they ended."""
    found = [json.loads(path.read_text()) for path in runs.glob("*/work/report/summary.json")]
    return sorted(found, key=lambda item: str(item["at"]))


def _shadow(run: Run, title_of: dict[str, str]) -> Any:
    found = _with_decision(run, "shadow", _note(run, "shadow", "answers"))
    if found is None:
        return None
    unlike = [
        {
            "query": item["query"],
            "overlap": item["overlap"],
            "rank_biased_overlap": item["rank_biased_overlap"],
            "before": [(doc, title_of.get(doc, doc)) for doc in item["champion"]],
            "after": [(doc, title_of.get(doc, doc)) for doc in item["candidate"]],
        }
        for item in found["replayed"]["most_different"]
    ]
    return {
        **found["replayed"],
        "overlap@10": found["replayed"]["overlap"],
        "most_different": unlike,
        "groups": groups(found),
        "clicks": found["clicks"],
        "decision": found["decision"],
    }


def _note(run: Run, step: str, name: str) -> dict[str, Any] | None:
    path = run.workspace.work(step) / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else None


def _with_decision(run: Run, step: str, found: dict[str, Any] | None) -> Any:
    return None if found is None else {**found, "decision": _note(run, step, "decision")}


def _rows(path: Path) -> Any:
    """A csv as rows; an empty cell is None."""
    frame = pd.read_csv(path).astype(object)
    return frame.where(frame.notna(), None).to_dict("records")
