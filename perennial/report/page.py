"""The page of one retrain: the decision first, then what it rests on; one file, no outside host."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from perennial.report import words
from perennial.report.data_plots import NAMES as OF_THE_DATA
from perennial.report.data_plots import data_plots
from perennial.report.health_plots import has_health, health_curves
from perennial.report.plots import loss_curve, per_query_gain, recall_by_k, rounds
from perennial.report.svg import inline
from perennial.report.view import ReportView

TEMPLATES = Path(__file__).parent / "templates"


def render(view: ReportView, drawn: Mapping[str, str] | None = None) -> str:
    """The whole page as HTML text, with what `plots` drew; every value from the view is escaped."""
    drawn = plots(view) if drawn is None else drawn
    return environment().get_template("page.html.j2").render(**context(view, drawn))


def environment() -> jinja2.Environment:
    """Where the templates are, and how they say numbers; everything is escaped."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "number": words.number,
        "signed": words.signed,
        "interval": words.interval,
        "percent": words.percent,
        "count": words.count,
        "duration": words.duration,
        "moment": words.moment,
        "metric": words.metric_title,
        "system": words.system_title,
        "capitalize_first": words.capitalized,
    }
    return found


def context(view: ReportView, drawn: Mapping[str, str]) -> dict[str, Any]:
    """What the templates of a report need; `drawn` is what `plots` drew of it."""
    metric = words.gate_metric(view.decision, view.comparison)
    difference = view.comparison["differences"]["candidate-champion"]
    shown = {name: Markup(inline(svg)) for name, svg in drawn.items()}
    headline, consequence, tone = words.OUTCOMES[view.decision["outcome"]]
    return {
        "view": view,
        "headline": headline,
        "consequence": consequence,
        "tone": tone,
        "outcomes": words.OUTCOMES,
        "metric": metric,
        "metrics": words.metrics_of(view.comparison),
        "systems": [s for s in words.SYSTEMS if s in view.comparison["systems"]],
        "bars": interval_bars(
            {name: difference[name] for name in words.metrics_of(view.comparison)}
        ),
        "plots": {name: svg for name, svg in shown.items() if name not in OF_THE_DATA},
        "data_plots": {name: svg for name, svg in shown.items() if name in OF_THE_DATA},
        "left_out": left_out(view.validate or {}, view.data.get("snapshot") or {}),
        "redacted": redacted(view.data.get("snapshot") or {}),
        "css": Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        "canary_bar": _canary_bar(view),
        "slowest": max(view.seconds.values(), default=1.0) or 1.0,
    }


def plots(view: ReportView) -> dict[str, str]:
    """Every plot that the view has rows for, by name, as SVG text that also stands on its own."""
    metric = words.gate_metric(view.decision, view.comparison)
    drawn = {}
    if view.curve:
        drawn["loss"] = loss_curve(view.curve)
    if has_health(view.curve):
        drawn["health"] = health_curves(view.curve)
    if view.recall_by_k:
        drawn["recall"] = recall_by_k(view.recall_by_k)
    if view.gains:
        drawn["gain"] = per_query_gain(view.gains, metric="ndcg@10")  # what evaluate writes
    if view.rounds:
        drawn["rounds"] = rounds(view.rounds, metric=metric, simulated=view.simulated)
    return drawn | data_plots(view.data, simulated=view.simulated)


def interval_bars(differences: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Each interval as percentages of one common scale with zero in the middle; none if unknown."""
    bounds = [
        abs(cell[side])
        for cell in differences.values()
        for side in ("value", "low", "high")
        if words.is_number(cell[side])
    ]
    reach = 1.1 * max(bounds, default=0.0) or 1.0

    def place(value: float) -> float:
        return round(50 + 50 * value / reach, 2)

    return {
        name: {
            "left": place(cell["low"]),
            "width": round(place(cell["high"]) - place(cell["low"]), 2),
            "point": place(cell["value"]),
        }
        for name, cell in differences.items()
        if words.is_number(cell["low"]) and words.is_number(cell["high"])
    }


def left_out(
    validate: Mapping[str, Any], snapshot: Mapping[str, Any]
) -> list[tuple[str, str, int]]:
    """(table, reason, rows) of all that the snapshot left out and validate did not accept."""
    deleted = [
        (table, "about deleted documents", rows)
        for table, rows in snapshot.get("dropped", {}).items()
    ]
    rare = [("requests", "too few sessions asked it", snapshot.get("rare", {}).get("requests", 0))]
    events = snapshot.get("events", {})
    untold = [
        ("events", "sent again, so that they count once", events.get("repeated", 0)),
        ("events", "on a document that their request did not show", events.get("not_shown", 0)),
    ]
    quarantined = [
        (table, reason, rows)
        for table, reasons in validate.get("quarantined", {}).items()
        for reason, rows in sorted(reasons.items())
    ]
    return [row for row in deleted + rare + untold if row[2]] + quarantined


def redacted(snapshot: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """(table, kind, findings) of the personal data that the snapshot replaced in queries."""
    return [
        (table, kind, count)
        for table, kinds in snapshot.get("redacted", {}).items()
        for kind, count in sorted(kinds.items())
        if count
    ]


def _canary_bar(view: ReportView) -> dict[str, float] | None:
    difference = view.canary["difference"] if view.canary else {}
    return interval_bars({"": difference}).get("") if difference else None
