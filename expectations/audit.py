"""The stage audit: `python -m expectations.audit`; what was mined may teach, or exit code 2."""

from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from expectations.check import Outcome, check
from expectations.mined import count
from expectations.summary import cell, extent, sentence
from expectations.triplets import suite
from perennial.data.split import is_held_out
from perennial.errors import TableInvalid
from perennial.params.whole import Params
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace


def run(workspace: Workspace, params: Params) -> None:
    """Writes the page, and artifacts/audit/summary.json where all promises are kept."""
    section, split = params.audit, params.split
    found, rows = count(
        workspace.artifacts("mine") / "triplets.parquet",
        workspace.table("catalogue"),
        suite(
            min_negatives=section.min_negatives,
            min_share=section.min_share,
            max_hub_share=section.max_hub_share,
        ),
        is_held_out=partial(is_held_out, share=split.held_out_share, salt=split.salt),
        sample_rows=section.sample_rows,
        memory_mb=section.memory_mb,
    )
    outcomes = check([found], unusable={}, sample_rows=section.sample_rows)
    stopped = [each for each in outcomes if each.stops]
    page, broken = workspace.work("audit") / "report.html", workspace.work("audit") / "summary.json"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render(outcomes, rows), encoding="utf-8")
    broken.unlink(missing_ok=True)  # an earlier run's speaks of other triplets
    write_json(
        broken if stopped else workspace.artifacts("audit") / "summary.json",
        summary(outcomes, rows),
    )
    if stopped:
        raise TableInvalid(
            f"{len(stopped)} of {len(outcomes)} promises of the triplets are broken; "
            f"nothing is trained; see {page.relative_to(workspace.root)}.\n"
            + "\n".join(sentence(each) for each in stopped)
        )


def summary(outcomes: list[Outcome], rows: dict[str, int]) -> dict[str, Any]:
    """Counts, and each broken promise or warning with sample rows; the same for the same bytes."""
    return {
        "format_version": 1,
        "success": not any(each.stops for each in outcomes),
        "triplets": rows["triplets"],
        "queries": rows["queries"],
        "negatives": rows["negatives"],
        "documents": rows["hubs"],
        "promises": len(outcomes),
        "broken": [_breakage(each) for each in outcomes if each.stops],
        "warnings": [_breakage(each) for each in outcomes if each.warns],
    }


def render(outcomes: list[Outcome], rows: dict[str, int]) -> str:
    """The page's HTML; every value from the triplets is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    views = [_breakage(each) | {"state": _state(each), "extent": extent(each)} for each in outcomes]
    return environment.get_template("audit.html").render(promises=views, rows=rows)


def _state(outcome: Outcome) -> str:
    return "broken" if outcome.stops else "warned" if outcome.warns else "kept"


def _breakage(outcome: Outcome) -> dict[str, Any]:
    return {
        "promise": outcome.must,
        "do": outcome.do,
        "count": outcome.count,
        "rows": outcome.rows,
        "share": round(outcome.share, 6),
        "sample": [{name: cell(value) for name, value in row.items()} for row in outcome.sample],
        "sentence": sentence(outcome),
    }


if __name__ == "__main__":
    main("audit", run)
