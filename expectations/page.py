"""The outcomes as one page: readable offline, on a phone, in the dark; nothing in it can run."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from expectations.check import Outcome
from expectations.snapshot import Findings
from expectations.summary import KEYS, cell, extent

SHORT_CHARACTERS = 28
STATES = {True: "kept", False: "broken", None: "unchecked"}


def render(
    findings: Findings,
    *,
    start: datetime,
    end: datetime,
    digest: str,
) -> str:
    """The page's HTML, the same for the same snapshot; every value from a table is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    views = [_view(each) for each in findings.outcomes]
    return environment.get_template("page.html").render(
        tables=[
            {"name": name, "rows": count, "promises": [v for v in views if v["table"] == name]}
            for name, count in findings.rows.items()
        ],
        broken=[view for view in views if view["state"] == "broken"],
        warnings=[view for view in views if view["state"] == "warned"],
        unchecked=sum(view["state"] == "unchecked" for view in views),
        promises=len(views),
        quarantine=[
            {
                "name": table,
                "rows": findings.rows[table],
                "left": sum(reasons.values()),
                "reasons": [(name.replace("_", " "), count) for name, count in reasons.items()],
            }
            for table, reasons in findings.quarantined.items()
            if reasons
        ],
        bots=findings.profile["bots"],
        start=start,
        end=end,
        digest=digest,
    )


def _view(outcome: Outcome) -> dict[str, Any]:
    """One promise as the page shows it."""
    sample = outcome.sample
    first = [KEYS[outcome.table], *outcome.about]
    columns = sorted(sample[0], key=lambda name: name not in first) if sample else []
    return {
        "table": outcome.table,
        "must": outcome.must,
        "do": outcome.do,
        "because": outcome.because,
        "state": "warned" if outcome.warns else STATES[outcome.kept],
        "extent": extent(outcome) if outcome.about else f"there are {outcome.count:,}",
        "share": outcome.share,
        "rows": outcome.rows,
        "more": outcome.count - len(sample) if sample else 0,
        "columns": [{"name": name, "meant": name in outcome.about} for name in columns],
        "sample": [[_shown(row[name]) for name in columns] for row in sample],
    }


def _shown(value: Any) -> dict[str, str]:
    """A sample's cell: what cannot be seen (null, blank text, control characters) is spelt out."""
    if value is None:
        return {"text": "null", "kind": "odd"}
    if isinstance(value, datetime):
        return {"text": f"{value:%Y-%m-%d %H:%M:%S}", "kind": "short"}
    if isinstance(value, float):
        return {"text": f"{value:.6g}", "kind": "short" if math.isfinite(value) else "odd"}
    short = str(cell(value))
    length = "long" if len(short) > SHORT_CHARACTERS else "short"
    if not short.strip() or not short.isprintable():
        return {"text": repr(short), "kind": f"{length} odd"}
    return {"text": short, "kind": length}
