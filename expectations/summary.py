"""Outcomes as people and later steps read them: one sentence per broken promise, and summary.json.

Nothing here differs between two runs on the same snapshot: summary.json is an out of DVC.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from expectations.check import Outcome

CELL_CHARACTERS = 160
KEYS = {
    "catalogue": "doc_id",
    "requests": "request_id",
    "impressions": "request_id",
    "events": "event_id",
    "judgements": "query",
}


def summary(outcomes: Sequence[Outcome], *, rows: dict[str, int]) -> dict[str, Any]:
    """What summary.json says: counts per table, and every broken promise with sample rows."""
    tables = {
        table: {
            "rows": count,
            "promises": sum(each.table == table for each in outcomes),
            "broken": sum(each.table == table and each.kept is False for each in outcomes),
            "unchecked": sum(each.table == table and each.kept is None for each in outcomes),
        }
        for table, count in rows.items()
    }
    broken = [
        {
            "table": each.table,
            "promise": each.must,
            "do": each.do,
            "count": each.count,
            "rows": each.rows,
            "share": round(each.share, 6),
            "sample": [{name: cell(value) for name, value in row.items()} for row in each.sample],
            "sentence": sentence(each),
        }
        for each in outcomes
        if each.kept is False
    ]
    return {"format_version": 1, "success": not broken, "tables": tables, "broken": broken}


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
    """The first sample row's key and the columns that the promise is about."""
    if not outcome.sample:
        return ""
    row = outcome.sample[0]
    names = [name for name in dict.fromkeys([KEYS[outcome.table], *outcome.about]) if name in row]
    return f" (first {', '.join(f'{name} {_short(row[name])}' for name in names)})"


def _short(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"
