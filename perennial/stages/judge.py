"""judge: the log's clicks, and labels of training queries, to judgements that training may use."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perennial.data.clicks.agreement import agreement, calibrated
from perennial.data.clicks.model import ClickModel, fit_model
from perennial.data.clicks.pages import Pages, read_pages
from perennial.data.judge import judge_pages, relevance_of
from perennial.data.split import is_held_out
from perennial.data.tables import read_table
from perennial.errors import BadInput
from perennial.params.whole import Params
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/judge: judgements.parquet (training queries only), propensities.csv and
    summary.json."""
    section, split = params.judge, params.split
    pages = read_pages(
        requests=workspace.log("requests"),
        impressions=workspace.log("impressions"),
        events=workspace.log("events"),
        short_dwell_seconds=section.short_dwell_seconds,
        short_dwell_weight=section.short_dwell_weight,
    )
    if not pages.clicked.any():
        raise BadInput("the log has no click, so it teaches nothing; collect more of it")
    held = is_held_out(pages.queries, share=split.held_out_share, salt=split.salt)
    training = pages.of_queries(~held)
    model = fit_model(
        training,
        wanted=section.model,
        min_links=section.min_links,
        significance=section.significance,
        max_misfit=section.max_misfit,
    )
    _say(model)
    labels = read_table(workspace.table("judgements"))
    clicked = judge_pages(
        training,
        model,
        min_examinations=section.min_examinations,
        min_click_rate=section.min_click_rate,
        max_negative_rate=section.max_negative_rate,
        confidence=section.confidence,
    )
    known = labels[
        ~is_held_out(labels["query"].tolist(), share=split.held_out_share, salt=split.salt)
    ]
    clicked, is_calibrated = calibrated(clicked, known, least=section.calibration_labels)
    judged = _with_labels(clicked, known)
    positives = judged[judged["label"] == "positive"]
    if positives.empty:
        raise BadInput(
            f"none of {len(clicked)} clicked or passed-over (query, document) pairs is surely "
            "wanted; collect more of the log, or lower judge.min_examinations or "
            "judge.min_click_rate"
        )
    relevance = relevance_of(pages, model, confidence=section.confidence)
    folder = workspace.artifacts("judge")
    judged.to_parquet(folder / "judgements.parquet", index=False)
    _write_propensities(folder / "propensities.csv", training, model)
    write_json(
        folder / "summary.json",
        {
            "pairs": len(np.unique(training.pairs[training.shown])),
            "queries": int(positives["query"].nunique()),
            "positives": len(positives),
            "negatives": int((judged["label"] == "negative").sum()),
            "unsure": int((judged["label"] == "unsure").sum()),
            "labelled": int((judged["source"] == "label").sum()),
            "calibrated": is_calibrated,
            "left_out": pages.left_out,
            "agreement": agreement(pages, relevance, labels),
            **_about(model),
        },
    )


def _say(model: ClickModel) -> None:
    if not model.identifiable:
        print(
            "judge: not identifiable: too few documents stood at several ranks of one query, so "
            "what a rank is worth in clicks cannot be told from how good its documents are; taken "
            "is the plain estimate (clicks by times that it or one below was clicked). Let the "
            "search explore a little, such as by swapping two neighbours now and then",
            file=sys.stderr,
        )
    if model.fit is not None and not model.fit.describes:
        print(
            f"judge: the {model.name} model does not describe this log: {model.fit.misfit:.0%} of "
            f"the clicks stand where it does not expect them (p = {model.fit.p_value:.2g}); "
            "relevances may be biased by rank, look at the click curve of the report",
            file=sys.stderr,
        )


def _about(model: ClickModel) -> dict[str, Any]:
    fit = model.fit
    return {
        "model": model.name,
        "identifiable": model.identifiable,
        "log_likelihood": {name: round(v, 6) for name, v in model.log_likelihoods.items()},
        "looks_on": None
        if model.chances is None
        else dict(
            zip(("after_click", "after_skip"), (round(c, 6) for c in model.chances), strict=True)
        ),
        "goodness_of_fit": None
        if fit is None
        else {
            "statistic": round(fit.statistic, 4),
            "degrees": fit.degrees,
            "p_value": round(fit.p_value, 6),
            "misfit": round(fit.misfit, 6),
            "describes": fit.describes,
        },
    }


def _with_labels(clicked: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Clicks and labels; where both speak, the label of a person counts."""
    rows = pd.DataFrame(
        {
            "query": known["query"],
            "doc_id": known["doc_id"],
            "label": np.where(known["grade"] > 0, "positive", "negative"),
            "relevance": (known["grade"] > 0).astype(float),
            "low": np.nan,
            "high": np.nan,
            "click_rate": np.nan,
            "examinations": 0.0,
            "source": "label",
        }
    )
    both = pd.concat([rows, clicked.assign(source="click")], ignore_index=True)
    both = both.drop_duplicates(["query", "doc_id"], keep="first")
    return both.sort_values(["query", "label", "doc_id"]).reset_index(drop=True)


def _write_propensities(path: Path, pages: Pages, model: ClickModel) -> None:
    """rank, propensity, low, high (95 %), click_rate; empty cells where nothing is known."""
    shown = pages.per_rank(np.ones(pages.pairs.shape))
    rates = pages.per_rank(pages.clicked) / np.maximum(shown, 1.0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["rank", "propensity", "low", "high", "click_rate"])
        rows = zip(model.propensities, model.errors, rates, strict=True)
        for rank, (value, error, rate) in enumerate(rows, start=1):
            bounds = (value, max(value - 1.96 * error, 0.0), value + 1.96 * error)
            cells = ["" if not np.isfinite(v) else f"{v:.6f}" for v in bounds]
            writer.writerow([rank, *cells, f"{rate:.6f}"])


if __name__ == "__main__":
    main("judge", run)
