"""Gathers what a retrain left in its workspace into the view that the page shows."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from perennial.data.tables import read_table
from perennial.quality.comparison import largest_changes
from perennial.quality.decision import Decision
from perennial.report.view import Example, ReportView
from tasks.provenance import provenance
from tasks.run import Run
from tasks.seconds import seconds_of


def gather(
    run: Run, decision: Decision, *, now: datetime, links: list[tuple[str, str]]
) -> ReportView:
    """The view of this run; what an early refusal kept from happening is left out."""
    artifacts, seconds = run.workspace.artifacts("evaluate"), seconds_of(run.workspace)
    titles = read_table(run.workspace.table("catalogue"), columns=["doc_id", "title"])
    title_of = dict(zip(titles["doc_id"], titles["title"], strict=True))
    best, worst = examples(run, title_of)
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
        releases={
            "champion": run.champion_id,
            **({"candidate": candidate["release_id"]} if candidate else {}),
        },
        lineage={**provenance(run), "parent": run.champion_id},
        seconds={step: spent["wall"] for step, spent in seconds.items()},
        rooms_seconds={step: spent["rooms"] for step, spent in seconds.items()},
        links=links,
    )


def examples(run: Run, title_of: dict[str, str]) -> tuple[list[Example], list[Example]]:
    """The queries that gained most and that lost most in the gate's metric, with both answers."""
    metric = run.params.gate.metric
    scores = pd.read_parquet(run.workspace.artifacts("evaluate") / "per_query.parquet")
    table = scores.pivot(index="query", columns="system", values=metric)
    slices = scores.drop_duplicates("query").set_index("query")["slice"]
    answers = pd.read_parquet(run.workspace.artifacts("evaluate") / "answers.parquet")
    gained, lost = largest_changes(
        table["candidate"].to_numpy(),
        table["champion"].to_numpy(),
        examples=run.params.evaluate.examples,
    )
    chosen = set(table.index[gained + lost])
    shown = answers[answers["query"].isin(chosen)].sort_values("rank")

    def answer(query: str, system: str) -> list[tuple[str, str, bool]]:
        rows = shown[(shown["query"] == query) & (shown["system"] == system)]
        relevant = rows["grade"].fillna(0) > 0
        return [
            (doc_id, title_of.get(doc_id, doc_id), bool(good))
            for doc_id, good in zip(rows["doc_id"], relevant, strict=True)
        ]

    def example(query: str) -> Example:
        part = slices[query]
        return {
            "query": query,
            "slice": None if pd.isna(part) else str(part),
            "champion": float(table.at[query, "champion"]),
            "candidate": float(table.at[query, "candidate"]),
            "before": answer(query, "champion"),
            "after": answer(query, "candidate"),
        }

    return [example(query) for query in table.index[gained]], [
        example(query) for query in table.index[lost]
    ]


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
        for item in found["most_different"]
    ]
    return {**found, "overlap@10": found["overlap"], "most_different": unlike}


def _note(run: Run, step: str, name: str) -> dict[str, Any] | None:
    path = run.workspace.work(step) / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else None


def _with_decision(run: Run, step: str, found: dict[str, Any] | None) -> Any:
    return None if found is None else {**found, "decision": _note(run, step, "decision")}


def _rows(path: Path) -> Any:
    """A csv as rows; an empty cell is None."""
    frame = pd.read_csv(path).astype(object)
    return frame.where(frame.notna(), None).to_dict("records")
