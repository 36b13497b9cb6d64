"""Rows of a benchmark: what was measured, against what, and whether it holds."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Row = dict[str, Any]


def row(
    name: str,
    value: float | None,
    unit: str,
    *,
    against: str = "",
    base: float | None = None,
    at_most: float | None = None,
    at_least: float | None = None,
    of_ratio: bool = False,
) -> Row:
    """One row; `base` is what the ratio is taken to, the bound is on the value or `of_ratio`.

    A value of None was not measured: it holds nothing and fails nothing.
    """
    ratio = value / base if value is not None and base else None
    judged = ratio if of_ratio else value
    bounds = [("<=", at_most), (">=", at_least)]
    must = " and ".join(f"{how} {bound:g}" for how, bound in bounds if bound is not None)
    holds = None
    if must and judged is not None:
        is_low = at_most is None or judged <= at_most
        is_high = at_least is None or judged >= at_least
        holds = bool(is_low and is_high)  # of numpy's kind they may be, which is no JSON
    return {
        "row": name,
        "value": None if value is None else _rounded(value),
        "unit": unit,
        "against": against,
        "ratio": None if ratio is None else _rounded(ratio),
        "must": (f"ratio {must}" if of_ratio else must) or None,
        "holds": holds,
    }


def show(rows: Sequence[Row], *, title: str) -> None:
    """The table, on the terminal; in a pipe as wide as it needs."""
    table = Table(title=title)
    for heading in ("", "measured", "unit", "against", "ratio", "must", "holds"):
        table.add_column(heading, justify="right" if heading in ("measured", "ratio") else "left")
    for each in rows:
        value, ratio = (_shown(each[key]) for key in ("value", "ratio"))
        holds = {True: "yes", False: "[bold red]NO[/]", None: ""}[each["holds"]]
        cells = (each["unit"], each["against"], ratio, each["must"] or "", holds)
        table.add_row(each["row"], value or "not measured", *cells)
    _print(table)


def show_beside(rows: Sequence[Row], *, title: str) -> None:
    """Rows that are called "side: what" as a table with a column per side."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for each in rows:
        side, _, what = each["row"].partition(": ")
        cells.setdefault((what, each["unit"]), {})[side] = _shown(each["value"])
    sides = list(dict.fromkeys(side for found in cells.values() for side in found))
    table = Table(title=title)
    table.add_column("")
    for side in sides:
        table.add_column(side, justify="right")
    table.add_column("unit")
    for (what, unit), found in cells.items():
        table.add_row(what, *(found.get(side, "") for side in sides), unit)
    _print(table)


def _print(table: Table) -> None:
    console = Console()
    Console(width=console.width if console.is_terminal else 190).print(table)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _rounded(value: float) -> float:
    """Five significant digits."""
    if not value or not math.isfinite(value):
        return float(value)
    return round(float(value), 4 - math.floor(math.log10(abs(value))))
