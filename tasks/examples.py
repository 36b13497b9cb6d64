"""The queries that a retrain changed most, with the answers before and after."""

import pandas as pd

from perennial.data.tables import read_table
from perennial.quality.comparison import largest_changes
from perennial.report.view import Example
from perennial.workspace import Workspace


def gained_and_lost(
    workspace: Workspace, *, metric: str, examples: int
) -> tuple[list[Example], list[Example]]:
    """The queries that gained most and those that lost most, the largest first."""
    folder = workspace.artifacts("evaluate")
    scores = pd.read_parquet(folder / "per_query.parquet")
    table = scores.pivot(index="query", columns="system", values=metric)
    champion, candidate = table["champion"].to_dict(), table["candidate"].to_dict()
    slices = scores.drop_duplicates("query").set_index("query")["slice"]
    gained, lost = largest_changes(
        table["candidate"].to_numpy(), table["champion"].to_numpy(), examples=examples
    )
    answers = pd.read_parquet(folder / "answers.parquet").sort_values("rank")
    shown = answers[answers["query"].isin(set(table.index[gained + lost]))]
    title_of = titles(workspace)

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
            "champion": float(champion[query]),
            "candidate": float(candidate[query]),
            "before": answer(query, "champion"),
            "after": answer(query, "candidate"),
        }

    return [example(q) for q in table.index[gained]], [example(q) for q in table.index[lost]]


def titles(workspace: Workspace) -> dict[str, str]:
    """doc_id to title, of the snapshot's catalogue."""
    rows = read_table(workspace.table("catalogue"), columns=["doc_id", "title"])
    return dict(zip(rows["doc_id"], rows["title"], strict=True))
