"""What a reviewer decides by: a page, a description of the version, and both as artifacts."""

import csv
import io
import json
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from perennial.data.marks import read_marks
from perennial.errors import BadInput
from perennial.model.digest import file_digest
from perennial.quality.decision import Decision
from perennial.report.review import render_review, review_plots
from perennial.report.review_text import describe
from perennial.report.review_view import Preferences, ReviewView
from perennial.verbs.freezing.marks import MARKS
from tasks.artifacts import show_page
from tasks.notes import write_note
from tasks.run import Run
from tasks.side_by_side import side_by_side, worth_judging
from tasks.tracking import tracker
from tasks.view import gather, links

MOST_EARLIER = 20


def write_review(run: Run, decision: Decision, *, release_id: str | None) -> str:
    """The description for the registry; writes work/review/page and logs it as `review/`.

    `release_id` is None for a candidate that was not published, whose page still asks for labels.
    """
    view = review_view(run, decision, release_id=release_id)
    folder, text = run.workspace.work("review") / "page", describe(view)
    page = folder / "review.html"
    drawn = review_plots(view)
    write_note(page, render_review(view, drawn))
    write_note(folder / "description.md", text)
    for name, svg in drawn.items():
        write_note(folder / "plots" / f"{name}.svg", svg)
    write_note(folder / "side_by_side.json", _as_json(view))
    write_note(folder / "unjudged.csv", _as_csv(view))
    client = tracker(run.places.tracking_uri)
    client.log_artifacts(run.tracked, str(folder), "review")
    log_data_pages(run)
    show_page("review", page, "The candidate's review")
    return text


def log_data_pages(run: Run) -> None:
    """The pages of validate and audit, beside the review."""
    client = tracker(run.places.tracking_uri)
    for validation in run.workspace.work("validate").glob("*.html"):
        client.log_artifact(run.tracked, str(validation), "validation")
    audit = run.workspace.work("audit") / "report.html"
    if audit.exists():
        client.log_artifact(run.tracked, str(audit), "audit")


def review_view(run: Run, decision: Decision, *, release_id: str | None) -> ReviewView:
    """The page's view; raises BadInput for a file of marks that is damaged."""
    section, metric = run.params.report, run.params.gate.metric
    report = gather(run, decision, now=datetime.now(UTC), links=links(run))
    roles = {"champion": run.champion_id} | ({"candidate": release_id} if release_id else {})
    # Where the time went comes to a reviewer with the report, when the run has ended.
    report = replace(report, title="Review", releases=roles, seconds={}, rooms_seconds={})
    pairs = side_by_side(
        run.workspace,
        metric=metric,
        examples=section.examples,
        size=section.ordinary,
        seed=section.seed,
    )
    return ReviewView(
        report=report,
        release=release_id,
        gate=file_digest(run.workspace.work("gate") / "decision.json"),
        pairs=pairs,
        unjudged=worth_judging(run.workspace, pairs, most=section.unjudged),
        earlier=_earlier(run.places.source / MARKS),
    )


def _earlier(folder: Path) -> list[Preferences]:
    """What people said of the last candidates, newest first; a damaged file is for snapshot."""
    try:
        kept = read_marks(folder)[-MOST_EARLIER:]
    except BadInput:
        return []
    rows = []
    for marks in reversed(kept):
        counts = Counter(mark.candidate for mark in marks.marks.pairs)
        said = {name: counts[name] for name in ("better", "same", "worse")}
        documents = len(marks.marks.documents)
        rows.append(Preferences(marks.release, marks.reviewer, marks.marked_at, said, documents))
    return rows


def _as_json(view: ReviewView) -> str:
    about = {"format_version": 1, "release": view.release, "gate": view.gate}
    return json.dumps(about | {"pairs": [asdict(pair) for pair in view.pairs]}, indent=1) + "\n"


def _as_csv(view: ReviewView) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["query", "doc_id", "title"])
    shown = [(pair.query, pair.unjudged) for pair in view.pairs]
    for query, documents in [*shown, *((item.query, item.documents) for item in view.unjudged)]:
        writer.writerows((query, document.doc_id, document.title) for document in documents)
    return stream.getvalue()
