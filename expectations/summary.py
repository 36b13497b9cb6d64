"""Findings as people and later steps read them: a sentence per broken promise, and summary.json.

Nothing here differs between two runs on the same snapshot: summary.json is an out of DVC.
"""

import math
from datetime import datetime
from typing import Any

from expectations.check import Outcome
from expectations.snapshot import Findings

CELL_CHARACTERS = 160
KEYS = {
    "catalogue": "doc_id",
    "requests": "request_id",
    "impressions": "request_id",
    "events": "event_id",
    "judgements": "doc_id",
    "triplets": "query",
}
TEXTS = ("query", "title", "text")


def summary(findings: Findings) -> dict[str, Any]:
    """What summary.json says: counts per table, and every broken promise with sample rows."""
    outcomes = findings.outcomes
    tables = {
        table: {
            "rows": count,
            "promises": sum(each.table == table for each in outcomes),
            "broken": sum(each.table == table and each.stops for each in outcomes),
            "warnings": sum(each.table == table and each.warns for each in outcomes),
            "unchecked": sum(each.table == table and each.kept is None for each in outcomes),
        }
        for table, count in findings.rows.items()
    }
    return {
        "format_version": 1,
        "success": findings.success,
        "tables": tables,
        "broken": [_breakage(each) for each in outcomes if each.stops],
        "warnings": [_breakage(each) for each in outcomes if each.warns],
        "accepted": findings.accepted,
        "quarantined": findings.quarantined,
        "bots": findings.profile["bots"],
    }


def _breakage(outcome: Outcome) -> dict[str, Any]:
    return {
        "table": outcome.table,
        "promise": outcome.must,
        "do": outcome.do,
        "count": outcome.count,
        "rows": outcome.rows,
        "share": round(outcome.share, 6),
        "sample": [{name: cell(value) for name, value in row.items()} for row in outcome.sample],
        "sentence": sentence(outcome),
    }


def sentence(outcome: Outcome) -> str:
    """What is broken, how often, for example where, and what to do."""
    if not outcome.about:
        found = "is 1" if outcome.count == 1 else f"are {outcome.count:,}"
        return f"{outcome.table}: {outcome.must}, but there {found}; {outcome.do}."
    return (
        f"{outcome.table}: {outcome.must}, but {extent(outcome)}{_example(outcome)}; {outcome.do}."
    )


def extent(outcome: Outcome) -> str:
    """How many of the rows (columns, requests, queries) break the promise."""
    if outcome.count == outcome.rows == 1:
        return "it does not"
    verb = "breaks" if outcome.count == 1 else "break"
    return f"{outcome.count:,} of {outcome.rows:,} {verb} it"


def cell(value: Any) -> Any:
    """A sample's value, fit for JSON and for a page: short, and no NaN."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str) and len(value) > CELL_CHARACTERS:
        return f"{value[:CELL_CHARACTERS]}… ({len(value):,} characters)"
    return value


def _example(outcome: Outcome) -> str:
    """The first sample row's key and the columns that the promise is about, of texts their length.

    The sentence goes where `forget` does not reach, to a tracker and to who is notified; what a
    person wrote stays in the page.
    """
    if not outcome.sample:
        return ""
    row = outcome.sample[0]
    names = [name for name in dict.fromkeys([KEYS[outcome.table], *outcome.about]) if name in row]
    return f" (first {', '.join(f'{name} {_told(name, row[name])}' for name in names)})"


def _told(name: str, value: Any) -> str:
    if name in TEXTS and isinstance(value, str):
        return f"of {len(value):,} characters"
    if isinstance(value, datetime):
        return value.isoformat()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"
