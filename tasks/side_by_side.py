"""The queries that a reviewer looks at, with both answers as people would read them."""

from collections.abc import Mapping

import pandas as pd

from perennial.quality.comparison import largest_changes
from perennial.quality.ordinary import ordinary, outcomes
from perennial.quality.unjudged import unjudged
from perennial.report.review_view import Document, Group, Pair, Unjudged
from perennial.serving.excerpts import Excerpt, read_excerpts
from perennial.workspace import Workspace

SHOWN = 10  # documents of an answer


def side_by_side(
    workspace: Workspace, *, metric: str, examples: int, size: int, seed: int
) -> list[Pair]:
    """Those that gained most, those that lost most, and a sample of all the others."""
    folder = workspace.artifacts("evaluate")
    scores = pd.read_parquet(folder / "per_query.parquet")
    table = scores.pivot(index="query", columns="system", values=metric)
    slices = scores.drop_duplicates("query").set_index("query")["slice"].reindex(table.index)
    parts = [None if pd.isna(part) else str(part) for part in slices]
    candidate, champion = (table[side].to_numpy(dtype=float) for side in ("candidate", "champion"))
    gained, lost = largest_changes(candidate, champion, examples=examples)
    outcome = outcomes(candidate, champion)
    sampled = ordinary(outcome, parts, leave_out={*gained, *lost}, size=size, seed=seed)
    chosen: list[tuple[Group, int]] = [
        *(("gained", row) for row in gained),
        *(("lost", row) for row in lost),
        *(("ordinary", row) for row in sampled),
    ]
    answers = _answers(workspace, set(table.index[[row for _, row in chosen]]))
    excerpts = read_excerpts(workspace.snapshot, answers["doc_id"].unique().tolist())
    both = {key: _documents(rows, excerpts) for key, rows in answers.groupby(["query", "system"])}
    return [
        Pair(
            query=str(query),
            slice=parts[row],
            group=group,
            outcome=outcome[row],
            champion=float(champion[row]),
            candidate=float(candidate[row]),
            before=both.get((query, "champion"), []),
            after=both.get((query, "candidate"), []),
        )
        for group, row in chosen
        for query in (table.index[row],)
    ]


def worth_judging(workspace: Workspace, pairs: list[Pair], *, most: int) -> list[Unjudged]:
    """Unjudged documents of the other queries, those first that could move the difference most."""
    found = unjudged(_answers(workspace, None))
    found = found[~found["query"].isin({pair.query for pair in pairs})].head(most)
    excerpts = read_excerpts(workspace.snapshot, found["doc_id"].unique().tolist())
    return [
        Unjudged(
            str(query),
            sorted(
                (_document(doc_id, None, excerpts) for doc_id in rows["doc_id"]),
                key=lambda document: (document.title, document.doc_id),
            ),
        )
        for query, rows in found.groupby("query", sort=False)
    ]


def _answers(workspace: Workspace, queries: set[str] | None) -> pd.DataFrame:
    """(query, system, rank, doc_id, grade) of the first documents of some queries, or of all."""
    path = workspace.artifacts("evaluate") / "answers.parquet"
    rows = pd.read_parquet(path, columns=["query", "system", "rank", "doc_id", "grade"])
    rows = rows[rows["rank"] <= SHOWN]
    if queries is not None:
        rows = rows[rows["query"].isin(queries)]
    return rows.sort_values(["query", "system", "rank"])


def _documents(rows: pd.DataFrame, excerpts: Mapping[str, Excerpt]) -> list[Document]:
    return [
        _document(doc_id, None if pd.isna(grade) else int(grade), excerpts)
        for doc_id, grade in zip(rows["doc_id"], rows["grade"], strict=True)
    ]


def _document(doc_id: str, grade: int | None, excerpts: Mapping[str, Excerpt]) -> Document:
    found = excerpts.get(doc_id, Excerpt(None, ""))
    return Document(str(doc_id), found.title or str(doc_id), found.first_words, grade)
