"""What shadow found as a table: a row per group of queries, a column per measure."""

from collections.abc import Mapping
from typing import Any

from prefect.artifacts import create_table_artifact

from perennial.quality.decision import Decision
from tasks.artifacts import show_decision

MEASURES = {
    "overlap@10": "overlap",
    "rank-biased overlap": "rank_biased_overlap",
    "zero results": "zero_results",
    "latency ratio": "latency_ratio",
    "score shift": "score_shift",
}


def groups(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """{"group", "queries", measure: bounds} of logged queries, each stratum, and mirrored ones."""
    named = [("logged queries", found["replayed"]), *found["by_frequency"].items()]
    if found["mirrored"] is not None:
        named.append(("live queries, mirrored", found["mirrored"]))
    return [
        {"group": name, "queries": alike["queries"]}
        | {measure: _bounds(alike, field) for measure, field in MEASURES.items()}
        for name, alike in named
    ]


def numbers(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a tracker takes: the same without examples, the clicks by their method."""
    kept = {"replayed": found["replayed"], "by_frequency": found["by_frequency"]}
    if found["mirrored"] is not None:
        kept |= {"mirrored": found["mirrored"], "mirror": found["counts"]}
    kept["clicks"] = {estimate["method"]: estimate for estimate in found["clicks"]}
    return kept


def show_shadow(found: Mapping[str, Any], decision: Decision) -> None:
    """The decision, and both tables, in Prefect's UI."""
    show_decision("shadow", decision)
    rows = [
        {name: cell if name in ("group", "queries") else _said(cell) for name, cell in row.items()}
        for row in groups(found)
    ]
    create_table_artifact(rows, key="shadow-answers", description="Two releases, same queries")
    clicks = [
        {
            "method": estimate["method"],
            "champion": _said(estimate["normalised"]["champion"]),
            "candidate": _said(estimate["normalised"]["candidate"]),
            "change": _said(estimate["change"]),
            "effective pages": f"{estimate['effective']:.0f} of {estimate['pages']}",
            "silent because": estimate["silent"] or "",
        }
        for estimate in found["clicks"]
    ]
    create_table_artifact(clicks, key="shadow-clicks", description="Clicks per page, foretold")


def _bounds(alike: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = alike[field]
    return found["difference"] if field == "zero_results" else found


def _said(bounds: Mapping[str, Any]) -> str:
    if bounds["value"] is None:
        return "unknown"
    if bounds["low"] is None:
        return f"{bounds['value']:.3f}"
    return f"{bounds['value']:.3f} ({bounds['low']:.3f} to {bounds['high']:.3f})"
