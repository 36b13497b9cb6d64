"""The words that suites are written in: each makes one expectation that says what must hold.

`must` is the promise, `do` the remedy, `about` the columns it reads, and `needs` what other tables
must offer ("catalogue.doc_id") before it makes sense to look.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation


def promise(
    kind: type[Expectation],
    must: str,
    do: str,
    *,
    about: Sequence[str],
    needs: Sequence[str] = (),
    **arguments: Any,
) -> Expectation:
    """Any expectation, with its promise as description and its remedy as meta data."""
    meta = {"do": do, "about": list(about), "needs": list(needs)}
    return kind(description=must, meta=meta, **arguments)


def given(column: str, do: str) -> Expectation:
    """The column has a value in every row."""
    return promise(
        gxe.ExpectColumnValuesToNotBeNull,
        f"{column} must be given",
        do,
        about=[column],
        column=column,
    )


def unique(columns: Sequence[str], do: str) -> Expectation:
    """No two rows agree in all of the columns."""
    must = f"{' and '.join(columns)} {'together ' if len(columns) > 1 else ''}must be unique"
    if len(columns) == 1:
        return promise(gxe.ExpectColumnValuesToBeUnique, must, do, about=columns, column=columns[0])
    return promise(
        gxe.ExpectCompoundColumnsToBeUnique, must, do, about=columns, column_list=list(columns)
    )


def one_of(column: str, values: Collection[Any], do: str) -> Expectation:
    """The column knows these values and no other."""
    names = ", ".join(map(str, values))
    return promise(
        gxe.ExpectColumnValuesToBeInSet,
        f"{column} must be one of {names}",
        do,
        about=[column],
        column=column,
        value_set=list(values),
    )


def within(
    column: str,
    must: str,
    do: str,
    *,
    low: float | datetime | None = None,
    high: float | datetime | None = None,
    needs: Sequence[str] = (),
) -> Expectation:
    """The column lies between low and high, both included; NaN is left to `holds`."""
    return promise(
        gxe.ExpectColumnValuesToBeBetween,
        must,
        do,
        about=[column],
        needs=needs,
        column=column,
        min_value=low,
        max_value=high,
    )


def characters(
    column: str, do: str, *, least: int | None = None, most: int | None = None
) -> Expectation:
    """The column's texts are neither shorter than `least` nor longer than `most` characters."""
    bound = f"at most {most:,} characters" if least is None else "more than nothing"
    return promise(
        gxe.ExpectColumnValueLengthsToBeBetween,
        f"{column} must have {bound}",
        do,
        about=[column],
        column=column,
        min_value=least,
        max_value=most,
    )


def holds(
    flag: str, must: str, do: str, *, about: Sequence[str], needs: Sequence[str] = ()
) -> Expectation:
    """A flag that joins.py worked out, often from several tables, is true in every row."""
    return promise(
        gxe.ExpectColumnValuesToBeInSet,
        must,
        do,
        about=about,
        needs=needs,
        column=flag,
        value_set=[True],
    )


def at_least(count: int, what: str, do: str, *, needs: Sequence[str] = ()) -> Expectation:
    """The table has `count` rows or more."""
    return promise(
        gxe.ExpectTableRowCountToBeBetween,
        f"there must be at least {count:,} {what}",
        do,
        about=[],
        needs=needs,
        min_value=count,
    )
