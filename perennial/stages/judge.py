"""judge: the log's clicks, and labels of training queries, to judgements that training may use."""

import sys

import numpy as np
import pandas as pd

from perennial.data.judge import count_examinations, judge_clicks
from perennial.data.split import is_held_out
from perennial.data.tables import read_table
from perennial.errors import BadInput
from perennial.params import Params
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/judge: judgements.parquet (training queries only) and summary.json."""
    section, split = params.judge, params.split
    counts = count_examinations(
        requests=workspace.log("requests"),
        impressions=workspace.log("impressions"),
        events=workspace.log("events"),
    )
    if counts["clicks"].sum() == 0:
        raise BadInput("the log has no click, so it teaches nothing; collect more of it")
    held = is_held_out(counts["query"].tolist(), share=split.held_out_share, salt=split.salt)
    clicked = judge_clicks(
        counts[~held],
        min_examinations=section.min_examinations,
        min_click_rate=section.min_click_rate,
        max_negative_rate=section.max_negative_rate,
        confidence=section.confidence,
    )
    explored = read_table(workspace.log("requests"), columns=["explored"])["explored"].mean()
    if explored == 0:
        print(
            "judge: the log explores nothing, so how much a rank is worth in clicks cannot be told "
            "from how good its documents are (position bias is not identifiable)",
            file=sys.stderr,
        )
    labels = read_table(workspace.table("judgements"))
    judged = _with_labels(clicked, labels, share=split.held_out_share, salt=split.salt)
    positives = judged[judged["label"] == "positive"]
    if positives.empty:
        raise BadInput(
            f"none of {len(counts)} seen (query, document) pairs is surely wanted; collect more of "
            "the log, or lower judge.min_examinations or judge.min_click_rate"
        )
    judged.to_parquet(workspace.artifacts("judge") / "judgements.parquet", index=False)
    write_json(
        workspace.artifacts("judge") / "summary.json",
        {
            "pairs": len(counts),
            "pairs_of_held_out_queries": int(held.sum()),
            "queries": int(positives["query"].nunique()),
            "positives": len(positives),
            "negatives": int((judged["label"] == "negative").sum()),
            "unsure": int((judged["label"] == "unsure").sum()),
            "explored_share": round(float(explored), 6),
            "labelled": int((judged["source"] == "label").sum()),
        },
    )


def _with_labels(
    clicked: pd.DataFrame, labels: pd.DataFrame, *, share: float, salt: str
) -> pd.DataFrame:
    """Clicks and the labels of training queries; where both speak, the label of a person counts."""
    held = is_held_out(labels["query"].tolist(), share=share, salt=salt)
    known = labels[~held]
    rows = pd.DataFrame(
        {
            "query": known["query"],
            "doc_id": known["doc_id"],
            "label": np.where(known["grade"] > 0, "positive", "negative"),
            "click_rate": np.nan,
            "low": np.nan,
            "high": np.nan,
            "examinations": np.int64(0),
            "source": "label",
        }
    )
    both = pd.concat([rows, clicked.assign(source="click")], ignore_index=True)
    both = both.drop_duplicates(["query", "doc_id"], keep="first")
    return both.sort_values(["query", "label", "doc_id"]).reset_index(drop=True)


if __name__ == "__main__":
    main("judge", run)
