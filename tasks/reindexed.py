"""Puts what a reindex did where people look: Prefect's page of the run, and the screen."""

from typing import Any

from prefect.artifacts import create_table_artifact
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perennial.verbs.reindexing.result import Reindexed
from tasks.artifacts import show_decision

Rows = list[tuple[str, ...]]


def show_reindexed(result: Reindexed) -> None:
    """The decision, what changed of each release, and the seconds, as artifacts of the run."""
    show_decision("reindex", result.decision)
    if result.sides:
        head, *rows = _sides(result)
        table: list[dict[str, Any]] = [dict(zip(head, row, strict=True)) for row in rows]
        create_table_artifact(table, key="reindex-changes", description="What changed")
    if result.seconds:
        seconds = [{"phase": name, "seconds": value} for name, value in result.seconds.items()]
        create_table_artifact(seconds, key="reindex-seconds", description="Where time went")


def print_reindexed(result: Reindexed, console: Console) -> None:
    """The same for a person at a terminal."""
    if result.sides:
        head, *rows = _sides(result)
        table = Table(head[0], *(row[0] for row in rows), box=SIMPLE)
        for column in table.columns[1:]:
            column.justify = "right"
        for name, *values in list(zip(head, *rows, strict=True))[1:]:
            table.add_row(name, *values)
        console.print(table)
    if result.seconds:
        spent = ", ".join(f"{name} {value:.2f}" for name, value in result.seconds.items())
        console.print(Text(f"seconds: {spent}", style="dim"), soft_wrap=True)
    outcome = result.decision.outcome
    console.print(Text(f"{outcome}: " + "\n  ".join(result.decision.reasons)), soft_wrap=True)


def _sides(result: Reindexed) -> Rows:
    """A head and a row per release."""
    head = ("release", "added", "changed", "slice", "removed", "embedded", "segments")
    head += ("merged", "trained anew", "recall", "coverage", "dead", "written", "serves")
    rows: Rows = [head]
    for side in result.sides:
        health = side.health
        rows.append(
            (
                side.role,
                *(
                    f"{count:,}"
                    for count in (
                        side.added,
                        side.changed,
                        side.resliced,
                        side.removed,
                        side.embedded,
                        side.segments,
                        side.merged,
                    )
                ),
                "; ".join(side.trained) or "no",
                f"{health['ann_recall@10']:.1%}",
                f"{health['coverage']:.1%}",
                f"{health['dead_share']:.1%}",
                f"{side.bytes_written / 1e6:,.2f} MB",
                side.release_id or f"still {side.parent}",
            )
        )
    return rows
