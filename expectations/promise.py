"""The words that suites are written in: each says what must hold, and how DuckDB sees it broken.

`must` is the promise, `do` the remedy, `about` the columns it reads, and `needs` what other tables
must offer ("catalogue.doc_id") before it makes sense to look. A rule's name is what the quarantine
gives as reason.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rule:
    """A promise of every row: `broken` is SQL over a row and its facts, null where it is kept."""

    name: str
    must: str
    do: str
    about: tuple[str, ...]
    broken: str
    needs: tuple[str, ...] = ()
    max_share: float = 0.0

    def expectation(self, rows: int, *, critical: bool) -> Expectation:
        """What Great Expectations judges: of `rows` rows, this many may break the rule."""
        return at_most(
            int(self.max_share * rows),
            self.name,
            self.must,
            self.do,
            of=rows,
            about=self.about,
            needs=self.needs,
            critical=critical,
        )


@dataclass(frozen=True)
class Least:
    """A promise of what is accepted: there are so many of it."""

    count: int
    what: str
    do: str
    needs: tuple[str, ...] = ()

    def expectation(self) -> Expectation:
        """What Great Expectations judges, in the column `what` of the counts."""
        return promise(
            gxe.ExpectColumnMinToBeBetween,
            f"there must be at least {self.count:,} {self.what}",
            self.do,
            about=[],
            needs=self.needs,
            column=self.what,
            min_value=self.count,
        )


def promise(
    kind: type[Expectation],
    must: str,
    do: str,
    *,
    about: Sequence[str],
    needs: Sequence[str] = (),
    critical: bool = True,
    of: int | None = None,
    **arguments: Any,
) -> Expectation:
    """Any expectation, with its promise as description and its remedy as meta data.

    `of` is given where the column holds a count of broken rows: of so many.
    """
    meta = {"do": do, "about": list(about), "needs": list(needs), "of": of}
    severity = "critical" if critical else "warning"
    return kind(description=must, meta=meta, severity=severity, **arguments)


def at_most(
    count: int,
    column: str,
    must: str,
    do: str,
    *,
    of: int,
    about: Sequence[str],
    needs: Sequence[str] = (),
    critical: bool = True,
) -> Expectation:
    """The counted column is at most `count`, of `of` rows."""
    return promise(
        gxe.ExpectColumnMaxToBeBetween,
        must,
        do,
        about=about,
        needs=needs,
        critical=critical,
        of=of,
        column=column,
        max_value=count,
    )


def given(column: str, do: str) -> Rule:
    """The column has a value in every row."""
    return Rule(f"{column}_missing", f"{column} must be given", do, (column,), f"{column} IS NULL")


def unique(columns: Sequence[str], do: str) -> Rule:
    """No two rows agree in all of the columns; facts.py says which do."""
    must = f"{' and '.join(columns)} {'together ' if len(columns) > 1 else ''}must be unique"
    return Rule(f"{'_and_'.join(columns)}_twice", must, do, tuple(columns), "is_twice")


def one_of(column: str, values: Collection[Any], do: str) -> Rule:
    """The column knows these values and no other."""
    names = ", ".join(map(str, values))
    known = ", ".join(map(repr, values))
    return Rule(
        f"{column}_unknown",
        f"{column} must be one of {names}",
        do,
        (column,),
        f"{column} NOT IN ({known})",
    )


def within(
    column: str,
    must: str,
    do: str,
    *,
    low: float | datetime | None = None,
    high: float | datetime | None = None,
    needs: Sequence[str] = (),
    name: str = "",
) -> Rule:
    """The column lies between low and high, both included; NaN is left to `holds`."""
    value = f"epoch_us({column})" if isinstance(low or high, datetime) else column
    sides = [f"{value} < {_number(low)}"] if low is not None else []
    sides += [f"{value} > {_number(high)}"] if high is not None else []
    name = name or f"{column}_out_of_range"
    return Rule(name, must, do, (column,), " OR ".join(sides), tuple(needs))


def characters(column: str, do: str, *, least: int | None = None, most: int | None = None) -> Rule:
    """The column's texts are neither shorter than `least` nor longer than `most` characters."""
    if least is not None:
        name, bound, broken = "short", "more than nothing", f"length({column}) < {least}"
    else:
        name, bound = "long", f"at most {most:,} characters"
        broken = f"length({column}) > {most}"
    return Rule(f"{column}_too_{name}", f"{column} must have {bound}", do, (column,), broken)


def holds(
    name: str,
    flag: str,
    must: str,
    do: str,
    *,
    about: Sequence[str],
    needs: Sequence[str] = (),
) -> Rule:
    """A flag that facts.py works out, often from several tables, is true in every row."""
    return Rule(name, must, do, tuple(about), f"NOT {flag}", tuple(needs))


def _number(value: float | datetime) -> str:
    """A literal of SQL; times in microseconds since 1970."""
    if isinstance(value, datetime):
        return str((value - EPOCH) // timedelta(microseconds=1))
    return repr(value)
