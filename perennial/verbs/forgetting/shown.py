"""What forgetting a session removed, or would: as JSON for programs, as a table for people."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from perennial.verbs.forgetting.plan import SessionForgotten

_SHOWN = 5
_BEYOND = (
    "Beyond reach: what the weights of encoders learned, other machines' runs and caches, what a "
    "service has in memory, logs kept elsewhere, and backups."
)


def session_value(done: SessionForgotten) -> dict[str, Any]:
    """The JSON of `forget --session`."""
    counts: dict[str, dict[str, int]] = {}
    for each in done.traces:
        row = counts.setdefault(each.where, {"files": 0, "rows": 0})
        row["files"] += 1
        row["rows"] += each.rows
    counts["releases' references"] = {
        "files": len(done.asked.queries),
        "rows": sum(done.asked.queries.values()),
    }
    counts["vector cache"] = {"files": 0, "rows": done.vectors}
    return {
        "format_version": 1,
        "plan": done.is_plan,
        "removed": counts,
        "successors": done.asked.successors,
        "stays": [str(each.path) for each in done.stays],
        "at_work": list(done.at_work),
        "spooled": done.spooled,
        "unreached": list(done.unreached),
        "in_flight": list(done.asked.in_flight),
        "trained": list(done.trained),
        "not_reached": _BEYOND,
    }


def show_session(value: dict[str, Any], console: Console) -> None:
    """The counts, then what is left and why, then the encoders that learned from it."""
    would = "would go" if value["plan"] else "gone"
    table = Table("where", "files", f"rows {would}", box=SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for where, row in value["removed"].items():
        if row["files"] or row["rows"]:
            table.add_row(where, f"{row['files']:,}", f"{row['rows']:,}")
    if table.row_count:
        console.print(table)
    else:
        console.print("Nothing of it was found.")
    for old, new in value["successors"].items():
        console.print(f"{old} is now {new}.")
    if value["plan"] and table.row_count:
        console.print("Nothing was written: run it again without --dry-run.")
    if value["spooled"]:
        console.print(
            f"[bold yellow]A service still holds {value['spooled']} of its requests:[/] run this "
            "again after serve.log_rotate_seconds."
        )
    if value["at_work"] or value["in_flight"]:
        names = ", ".join([*value["at_work"], *value["in_flight"]])
        console.print(f"[bold yellow]At work: {names}.[/] Run this again when that has ended.")
    for left in value["unreached"]:
        console.print(f"[bold yellow]Not reached yet:[/] {left}", soft_wrap=True)
    for path in value["stays"][:_SHOWN]:
        console.print(f"{path} still names it, or cannot be read: look at it", soft_wrap=True)
    if len(value["stays"]) > _SHOWN:
        console.print(f"and {len(value['stays']) - _SHOWN:,} more; --json names them all")
    if value["trained"]:
        console.print(
            f"Encoders that saw it serve in {', '.join(value['trained'])}; "
            "`python -m flows.retrain` replaces them.",
            soft_wrap=True,
        )
    console.print(value["not_reached"], soft_wrap=True)
