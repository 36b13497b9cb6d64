"""What a reviewer is shown: the largest changes, fair others, and what is worth judging."""

from pathlib import Path

import pandas as pd
import pytest

from perennial.quality.unjudged import unjudged
from perennial.report.review_view import Pair
from perennial.workspace import Workspace
from tasks.side_by_side import side_by_side, worth_judging

QUERIES = [f"query {i:02d}" for i in range(30)]
CHANGES = {0: 0.9, 1: 0.5, 2: -0.7}  # by query; all others tie


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Thirty queries that evaluate answered; the champion finds doc-0 to doc-2, the candidate
    doc-1 to doc-3, and only doc-1 is judged."""
    workspace = Workspace(tmp_path)
    folder = workspace.artifacts("evaluate")
    folder.mkdir(parents=True)
    workspace.snapshot.mkdir()
    pd.DataFrame(
        [
            (query, "numpy" if i % 2 else None, system, 0.5 + change)
            for i, query in enumerate(QUERIES)
            for system, change in (
                ("lexical", 0.1),
                ("champion", 0.0),
                ("candidate", CHANGES.get(i, 0.0)),
            )
        ],
        columns=["query", "slice", "system", "ndcg@10"],
    ).to_parquet(folder / "per_query.parquet")
    answers = pd.DataFrame(
        [
            (query, system, rank, f"doc-{first + rank - 1}", 1.0, 1 if first + rank == 2 else None)
            for query in QUERIES
            for system, first in (("lexical", 7), ("champion", 0), ("candidate", 1))
            for rank in (1, 2, 3)
        ],
        columns=["query", "system", "rank", "doc_id", "score", "grade"],
    ).astype({"grade": "Int8"})
    answers.to_parquet(folder / "answers.parquet")
    unjudged(answers).to_parquet(folder / "unjudged.parquet")
    pd.DataFrame(
        {"doc_id": ["doc-0", "doc-1"], "title": ["zero", "one"], "text": ["Nothing.", "A unit."]}
    ).to_parquet(workspace.table("catalogue"))
    return workspace


def pairs_of(workspace: Workspace, size: int = 6) -> list[Pair]:
    return side_by_side(workspace, metric="ndcg@10", examples=5, size=size, seed=1)


def test_the_largest_changes_come_first_and_the_others_are_a_sample(workspace):
    pairs = pairs_of(workspace)
    assert [(p.group, p.query) for p in pairs[:3]] == [
        ("gained", "query 00"),
        ("gained", "query 01"),
        ("lost", "query 02"),
    ]
    others = pairs[3:]
    assert [p.group for p in others] == ["ordinary"] * 6
    assert {p.outcome for p in others} == {"tied"}
    assert sorted(map(str, (p.slice for p in others))) == ["None"] * 3 + ["numpy"] * 3
    assert pairs == pairs_of(workspace)


def test_both_answers_have_titles_excerpts_and_grades_as_far_as_they_are_known(workspace):
    pair = pairs_of(workspace)[0]
    assert (pair.champion, pair.candidate, pair.outcome) == (0.5, 1.4, "won")
    said = [(d.doc_id, d.title, d.excerpt, d.grade) for d in pair.before]
    assert said == [
        ("doc-0", "zero", "Nothing.", None),
        ("doc-1", "one", "A unit.", 1),
        ("doc-2", "doc-2", "", None),
    ]
    assert [d.doc_id for d in pair.after] == ["doc-1", "doc-2", "doc-3"]
    assert [d.doc_id for d in pair.unjudged] == ["doc-2", "doc-3", "doc-0"], "by title"


def test_a_query_is_asked_about_once_and_what_could_move_most_comes_first(workspace):
    pairs = pairs_of(workspace)
    found = worth_judging(workspace, pairs, most=21)
    assert not {item.query for item in found} & {pair.query for pair in pairs}
    assert {d.doc_id for item in found for d in item.documents} == {"doc-0"}, (
        "it stands first on one side only; 21 of them fill the page"
    )
    everything = worth_judging(workspace, pairs, most=1000)
    assert {d.doc_id for item in everything for d in item.documents} == {"doc-0", "doc-2", "doc-3"}


def test_what_both_show_at_one_rank_cannot_tell_them_apart():
    rows = [("q", "champion", 1, "same", None), ("q", "candidate", 1, "same", None)]
    rows += [("q", "candidate", 2, "new", None), ("q", "champion", 2, "judged", 0)]
    rows += [("q", "lexical", 1, "theirs", None)]
    answers = pd.DataFrame(rows, columns=["query", "system", "rank", "doc_id", "grade"])
    found = unjudged(answers)
    assert found["doc_id"].tolist() == ["new", "same"]
    assert found["weight"].tolist() == [pytest.approx(0.63093), 0.0]
