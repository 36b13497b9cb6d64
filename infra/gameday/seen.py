"""What a break showed: who noticed it and when, what mended it, what was lost; as a table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Seen:
    """One break. Seconds are from the break to its being noticed, and to all being well again;
    `lost` is a sentence, "nothing" where that is so, and `holds` whether it may be so."""

    what: str
    noticed: str
    noticed_seconds: float | None
    mended: str
    mended_seconds: float | None
    lost: str
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        """As the game day's JSON keeps it."""
        return asdict(self)


def show(found: Sequence[Seen], console: Console) -> None:
    """The table of the day."""
    table = Table(box=SIMPLE_HEAD, title="the game day")
    for heading in ("broken", "noticed by", "after", "mended by", "after", "lost", ""):
        table.add_column(heading, justify="right" if heading == "after" else "left")
    for each in found:
        table.add_row(
            each.what,
            each.noticed,
            _seconds(each.noticed_seconds),
            each.mended,
            _seconds(each.mended_seconds),
            each.lost,
            Text("as it should") if each.holds else Text("NOT AS IT SHOULD", style="bold red"),
        )
    console.print(table)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
